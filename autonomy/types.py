"""The nouns of the project: demonstrations, operators, assistants, channels and the one error that people see."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


class UserError(ValueError):
    """A mistake that a person can mend. Its text is one sentence that names the valid choices; programs exit with 2."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One demonstration: `states` (T, S), `actions` (T, D), and the tasks that it completed, in order.

    `intents` (T,) labels each step with what it was for: an index into `Demonstrations.intents`, -1 for none of them.
    None: this episode has no labels. `weight`: how much oftener than those of weight 1 its rows are drawn in training.
    """

    states: Array
    actions: Array
    completed: tuple[str, ...] = ()
    intents: NDArray[np.int64] | None = None
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.actions)

    def __repr__(self) -> str:
        return f"Episode(steps={len(self)}, completed={list(self.completed)})"


@dataclasses.dataclass(frozen=True)
class ActionBox:
    """The range of a robot's actions in its own units: -1 stands for `low` (D,) and 1 for `high` (D,)."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise UserError(
                f"a box of actions needs a low and a larger high for each dimension, got {self.low}, {self.high}"
            )

    @classmethod
    def unit(cls, dim: int) -> ActionBox:
        """The box [-1, 1]^dim, of actions that are scaled already."""
        return cls((-1.0,) * dim, (1.0,) * dim)

    @property
    def half(self) -> NDArray[np.float64]:
        """How many of the robot's units are 1, (D,)."""
        return np.asarray((np.array(self.high) - np.array(self.low)) / 2, np.float64)

    def scaled(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Actions (..., D) in the robot's units as numbers that lie in [-1, 1] where they lie in the box."""
        middle = (np.array(self.high) + np.array(self.low)) / 2
        return np.asarray((np.asarray(actions, np.float64) - middle) / self.half)

    def unscaled(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """The inverse of `scaled`."""
        middle = (np.array(self.high) + np.array(self.low)) / 2
        return np.asarray(np.asarray(actions, np.float64) * self.half + middle)


@dataclasses.dataclass(frozen=True)
class Demonstrations:
    """What every data source ends as. Splits are by episode, never by row.

    `intents` are the names of the labels that episodes carry; () when no episode is labelled. `concerns` says for
    intents, where it is known, which dimensions of the state they are about: the object that a task moves. `box` says
    what the actions in [-1, 1] stand for; None: they are in the robot's units, as recorded, and `autonomy.data.load`
    scales them. `clipped` is the share of the recorded numbers that lay beyond the box, one for each dimension, ()
    when none did. `labels` are the names of the action dimensions, () when nobody has named them. Raises `UserError`
    for intents that do not fit their episode or the names.
    """

    episodes: tuple[Episode, ...]
    tasks: tuple[str, ...]
    source: str
    intents: tuple[str, ...] = ()
    concerns: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    box: ActionBox | None = None
    clipped: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.intents)) < len(self.intents):
            raise UserError(f"intents are named twice: {', '.join(self.intents)}; each needs a name of its own")
        for number, episode in enumerate(self.episodes):
            if episode.intents is not None:
                _check_labels(
                    f"{self.source}, episode {number}", np.asarray(episode.intents), len(episode), self.intents
                )

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    @property
    def steps(self) -> int:
        return sum(len(episode) for episode in self.episodes)

    def rows(self) -> tuple[Array, Array]:
        """All states (N, S) and actions (N, D), in the order of the episodes."""
        return (
            np.concatenate([episode.states for episode in self.episodes]),
            np.concatenate([episode.actions for episode in self.episodes]),
        )

    def __repr__(self) -> str:
        return f"Demonstrations({self.source!r}, episodes={len(self)}, steps={self.steps})"


def _check_labels(where: str, labels: NDArray[Any], steps: int, names: tuple[str, ...]) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (steps,):
        raise UserError(
            f"{where}: intents have shape {labels.shape} and type {labels.dtype}; "
            f"an episode of {steps} steps needs ({steps},) whole numbers, one a step"
        )
    wrong = np.flatnonzero((labels < -1) | (labels >= len(names)))
    if len(wrong):
        valid = ", ".join(["-1 (none of them)", *(f"{index} ({name})" for index, name in enumerate(names))])
        raise UserError(f"{where}: intent {labels[wrong[0]]} in row {wrong[0]}; the valid ones are {valid}")


class Channels(Protocol):
    """The law of which action dimensions the operator holds in an episode.

    Channels may also have `law() -> autonomy.density.masks.MaskLaw`, by which training and coverage know them exactly.
    """

    name: str

    def sample(self, n: int, rng: np.random.Generator) -> Mask:
        """`n` operator masks, (n, D) bool; True where the operator moves the dimension."""
        ...


@runtime_checkable
class Operator(Protocol):
    """Whoever moves the operator's dimensions: a proxy policy or a person. One object serves B environments."""

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        """A new episode begins in environment `index`; `rng` the episode's generator, `mask` (D,) what it holds."""
        ...

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """The action (B, D) that the operator would execute; the caller uses the operator's dimensions of it."""
        ...

    def intent(self, index: int) -> tuple[str, ...]:
        """The tasks that the operator means to do in environment `index`, in order; empty when it has no such plan."""
        ...


@runtime_checkable
class Assistant(Protocol):
    """Fills in the dimensions that the operator does not hold. Stable-Baselines3's `predict` seam."""

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        """Whole actions (B, D) for `{"state": (B, S), "operator_action": (B, D), "operator_mask": (B, D)}`.

        An empty mask asks for full autonomy. The operator's dimensions come back as they were given.
        """
        ...
