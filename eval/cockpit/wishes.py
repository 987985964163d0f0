"""What the person says of the tasks, in so many words: this one now, or not that one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.checks import choice
from autonomy.types import Assistant, Mask

NOT_TOLD = -1
NONE_OF_THEM = "none of them"


class Wishes:
    """What a person says of the tasks `names`: at most one is told (it is meant), any others may be vetoed."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        self.clear()

    def clear(self) -> None:
        """Nothing is told, nothing is vetoed."""
        self.told, self.vetoed = NOT_TOLD, np.zeros(len(self.names), np.bool_)

    def press(self, name: str) -> None:
        """Tell the task `name`, or veto it if it was told, or take the veto back if it was vetoed.

        Raises `UserError` for an unknown name.
        """
        index = self.names.index(choice("task", name, self.names))
        if self.told == index:
            self.told, self.vetoed[index] = NOT_TOLD, True
        elif self.vetoed[index]:
            self.vetoed[index] = False
        else:
            self.told = index

    def forget(self, done: Collection[str]) -> None:
        """A told task that is among the `done` is told no longer."""
        if self.told != NOT_TOLD and self.names[self.told] in done:
            self.told = NOT_TOLD

    @property
    def key(self) -> Hashable:
        """Changes whenever a wish does."""
        return self.told, self.vetoed.tobytes()

    def observed(self) -> dict[str, NDArray[Any]]:
        """What an assistant that knows `names` is shown beside the operator's action; nothing without names."""
        return _observed(self.told, self.vetoed) if self.names else {}


@dataclasses.dataclass(frozen=True)
class Belief:
    """What an assistant takes the operator to be after.

    `shares` (K + 1,): the probability of each of the K tasks `names`, and last of "none of them". `committed`: the
    index of the task that it acts for, K for none of them. `told`: the index that the person told, or -1; `vetoed`
    (K,): the tasks that the person said are not meant.
    """

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    committed: int
    told: int
    vetoed: Mask

    @classmethod
    def of(cls, assistant: Assistant, memory: Any, wishes: Wishes) -> Belief | None:
        """Read the belief from what an `assistant` with the intents of `wishes` remembers of one episode.

        Returns None for an assistant without a belief.
        """
        shares, committed = getattr(memory, "belief", None), getattr(memory, "intent", None)
        if shares is None or committed is None or not wishes.names:
            return None
        told = wishes.told if wishes.told != NOT_TOLD else len(wishes.names)
        acts = int(committed[0]) if getattr(assistant, "acts_on_belief", True) else told
        return cls(wishes.names, np.array(shares[0]), acts, wishes.told, wishes.vetoed.copy())

    @property
    def told_as(self) -> int:
        """The committed task as an observation tells it."""
        return self.committed if self.committed < len(self.names) else NOT_TOLD

    @property
    def likeliest(self) -> int:
        """The index of the largest share, K for "none of them"."""
        return int(self.shares.argmax())

    def title(self, index: int) -> str:
        """The task `index`, or that there is none."""
        return (*self.names, NONE_OF_THEM)[index]

    def after(self, wishes: Wishes) -> Belief:
        """The same with newer wishes about the same tasks."""
        if wishes.names != self.names:
            return self
        return dataclasses.replace(self, told=wishes.told, vetoed=wishes.vetoed.copy())

    def observed(self) -> dict[str, NDArray[Any]]:
        """What the assistant was shown of the wishes."""
        return _observed(self.told, self.vetoed)


def _observed(told: int, vetoed: Mask) -> dict[str, NDArray[Any]]:
    return {"intent": np.array([told]), "veto": vetoed[None].copy()}
