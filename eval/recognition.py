"""How soon, and how surely, an assistant's belief finds what the operator is after."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NONE_OF_THEM = "none of them"
UNKNOWN = -1
"""The truth of a step in which nobody knows what the operator is after."""
FLOOR = 1e-6
"""The least probability that a logarithmic score is taken of."""


class Belief(NamedTuple):
    """What an assistant believes in one step of an episode, and what is true.

    `names` (K,) are the intents and `shares` (K + 1,) their probabilities, of which the last one is that of none of
    them. The assistant acts for the intent `committed`. `truth` is the intent that the operator pursues when it gives
    its command. Both are indices, K for none of them; `truth` is `UNKNOWN` for an operator without a plan.
    """

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    committed: int
    truth: int


class Witness:
    """Writes a `Belief` into every step's info, as `info["belief"]`, when the assistant of `play` has one."""

    def __init__(self, assistant: Any) -> None:
        self._names: tuple[str, ...] = tuple(getattr(assistant, "intents", ()))
        self._completed: dict[int, tuple[str, ...]] = {}

    def note(self, state: Any, infos: Sequence[dict[str, Any]], ended: NDArray[np.bool_]) -> None:
        """`state` is what `predict` returned for this step, `infos` and `ended` are what the world answered."""
        beliefs = getattr(state, "belief", None)
        if beliefs is None:
            return
        for row, info in enumerate(infos):
            truth = self._truth(info["intent"], self._completed.get(row, ()))
            info["belief"] = Belief(self._names, beliefs[row].copy(), int(state.intent[row]), truth)
            self._completed[row] = () if ended[row] else tuple(info["completed"])

    def _truth(self, plan: Sequence[str], completed: Sequence[str]) -> int:
        """A task that this very step completes is still pursued in it."""
        pursued = next((task for task in plan if task not in completed), None)
        return UNKNOWN if pursued is None else index_of(pursued, self._names)


def index_of(intent: str, names: Sequence[str]) -> int:
    """The place of `intent` in `names`, or their number, which means none of them."""
    return names.index(intent) if intent in names else len(names)


class Stretch(NamedTuple):
    """Steps `start` to `stop` (exclusive) of an episode, in which the intent with this index is pursued.

    The belief gives it more than half after `recognised` steps and the assistant commits to it after `followed`; a
    stretch in which that never happens counts as its length.
    """

    intent: int
    start: int
    stop: int
    recognised: int
    followed: int

    @property
    def seen(self) -> bool:
        """Whether the belief ever gives the intent more than half."""
        return self.recognised < self.stop - self.start


@dataclasses.dataclass(frozen=True)
class Course:
    """A belief over the T steps of an episode.

    `names` (K,), `beliefs` (T, K + 1), `committed` (T,) and `truths` (T,) are as in `Belief`; `completed` has a pair of
    step and task for every task that was done. `period` is how many seconds a step takes, None where nobody knows.
    """

    names: tuple[str, ...]
    beliefs: NDArray[np.float64]
    committed: NDArray[np.int64]
    truths: NDArray[np.int64]
    completed: tuple[tuple[int, str], ...] = ()
    period: float | None = None

    @classmethod
    def of(cls, infos: Iterable[Mapping[str, Any]]) -> Course | None:
        """The course of an episode with these infos; None when the assistant has no belief."""
        infos = [info for info in infos if "belief" in info]
        if not infos:
            return None
        beliefs: list[Belief] = [info["belief"] for info in infos]
        done = [(step, task) for step, info in enumerate(infos) for task in info["completed"]]
        return cls(
            beliefs[0].names,
            np.array([belief.shares for belief in beliefs]),
            np.array([belief.committed for belief in beliefs]),
            np.array([belief.truth for belief in beliefs]),
            tuple((step, task) for task, step in {task: step for step, task in reversed(done)}.items())[::-1],
            infos[0].get("period"),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all K + 1 columns of `beliefs`."""
        return (*self.names, NONE_OF_THEM)

    @property
    def known(self) -> NDArray[np.bool_]:
        """The steps (T,) whose truth is known."""
        return np.asarray(self.truths != UNKNOWN)

    @property
    def of_truth(self) -> NDArray[np.float64]:
        """The probability of the truth in each of the `known` steps."""
        return self.beliefs[self.known, self.truths[self.known]]

    @property
    def right(self) -> float | None:
        """The share of the known steps in which the assistant acts for the truth; None when none is known."""
        return float((self.committed == self.truths)[self.known].mean()) if self.known.any() else None

    @property
    def log_score(self) -> float | None:
        """The mean log probability of the truth in nats, at least log `FLOOR`; None when none is known."""
        return float(np.log(np.maximum(self.of_truth, FLOOR)).mean()) if self.known.any() else None

    @property
    def stretches(self) -> list[Stretch]:
        """The longest runs of steps with one known truth, in order."""
        bounds = [0, *(np.flatnonzero(np.diff(self.truths)) + 1).tolist(), len(self.truths)]
        runs = [(int(self.truths[start]), start, stop) for start, stop in itertools.pairwise(bounds)]
        return [self._stretch(*run) for run in runs if run[0] != UNKNOWN]

    def _stretch(self, intent: int, start: int, stop: int) -> Stretch:
        recognised = _until(self.beliefs[start:stop, intent] > 0.5)
        return Stretch(intent, start, stop, recognised, _until(self.committed[start:stop] == intent))

    @property
    def steps_to_recognise(self) -> float | None:
        """The median of `Stretch.recognised`; None without a stretch."""
        found = [stretch.recognised for stretch in self.stretches]
        return float(np.median(found)) if found else None

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; probabilities have three digits."""
        return {
            "names": list(self.names),
            "beliefs": np.round(self.beliefs, 3).tolist(),
            "committed": self.committed.tolist(),
            "truths": self.truths.tolist(),
            "completed": [list(pair) for pair in self.completed],
            "period": self.period,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Course:
        """The inverse of `as_dict`. Raises `KeyError` or `ValueError` for something else."""
        course = cls(
            tuple(map(str, values["names"])),
            np.array(values["beliefs"], np.float64).reshape(-1, len(values["names"]) + 1),
            np.array(values["committed"], np.int64),
            np.array(values["truths"], np.int64),
            tuple((int(step), str(task)) for step, task in values["completed"]),
            None if values.get("period") is None else float(values["period"]),
        )
        if not len(course.beliefs) == len(course.committed) == len(course.truths) > 0:
            raise ValueError("beliefs, committed and truths must have the same number of steps, at least one")
        return course


def lasting(steps: float, period: float | None) -> str:
    """So many steps as people read it: in seconds where a step's `period` is known."""
    return f"{steps:g} steps" if period is None else f"{period * steps:.1f} s"


def _until(reached: NDArray[np.bool_]) -> int:
    """The first step at which something is reached, or the number of steps."""
    return int(reached.argmax()) if reached.any() else len(reached)
