"""What was done in a session, an entry an episode: reward, who moved how much, how far the person was overruled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.cockpit.session import Snapshot


@dataclasses.dataclass
class Entry:
    """An episode so far.

    `operator`, `assistant` (D,): the sum of |executed action| over the steps in which each moved the dimension.
    `overruled`: the sum over the steps of mean |executed - operator's command| on the held dimensions, which is above
    0 when commands are blended. `refused`: steps in which a command or an action was not trusted.
    """

    seed: int
    assistant_name: str
    mask: tuple[int, ...]
    operator: NDArray[np.float64]
    assistant: NDArray[np.float64]
    steps: int = 0
    reward: float = 0.0
    completed: tuple[str, ...] = ()
    overruled: float = 0.0
    refused: int = 0
    ms: list[float] = dataclasses.field(default_factory=list)

    def add(self, snapshot: Snapshot) -> None:
        """Count one step."""
        held, moved = snapshot.mask, np.abs(np.float64(snapshot.executed))
        self.operator[held] += moved[held]
        self.assistant[~held] += moved[~held]
        if held.any():
            self.overruled += float(np.abs(snapshot.executed - snapshot.operator)[held].mean())
        self.steps, self.reward, self.completed = snapshot.step, snapshot.reward, snapshot.completed
        self.refused += bool(snapshot.problem)
        self.ms.append(snapshot.ms)

    @property
    def share(self) -> float:
        """Of all motion, the operator's part in [0, 1]."""
        whole = float(self.operator.sum() + self.assistant.sum())
        return float(self.operator.sum()) / whole if whole else 0.0

    def cells(self, period: float) -> tuple[str, ...]:
        """For the table; a step takes `period` seconds."""
        return (
            str(self.seed),
            self.assistant_name,
            f"{period * self.steps:.0f} s",
            f"{round(self.reward, 1):g}",
            ", ".join(self.completed) or "none",
            f"{self.share:.0%}",
            f"{self.overruled / max(1, self.steps):.2f}",
            str(self.refused),
        )


COLUMNS = ("episode", "assistant", "time", "reward", "tasks done", "moved by the operator", "deviation", "refused")
NOTE = (
    "moved by the operator: its part of the sum of |executed action|; deviation: mean |executed - operator's command| "
    "on the dimensions that it held; refused: steps in which a command or an action was not trusted."
)


class Logbook:
    """The entries of a session, from its snapshots; a step takes `period` seconds."""

    def __init__(self, period: float) -> None:
        self.entries: list[Entry] = []
        self._period = period

    def add(self, snapshot: Snapshot, assistant_name: str) -> None:
        """A snapshot in which the world stood still, after the end of an episode, is not counted."""
        last = self.entries[-1] if self.entries else None
        if snapshot.step == 1 and (last is None or last.steps > 1 or last.seed != snapshot.seed):
            dim = len(snapshot.mask)
            last = Entry(snapshot.seed, assistant_name, tuple(map(int, snapshot.mask)), np.zeros(dim), np.zeros(dim))
            self.entries.append(last)
        if last is not None and snapshot.step == last.steps + 1:
            last.add(snapshot)

    def table(self) -> list[Sequence[str]]:
        """Titles, then a line an episode."""
        return [COLUMNS, *(entry.cells(self._period) for entry in self.entries)]
