"""For tests of beliefs: an assistant that believes what a test says, in the kitchen and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TASKS = ("microwave", "kettle", "bottom burner", "light switch")


class State(NamedTuple):
    """What an intent assistant remembers."""

    belief: NDArray[np.float64]
    intent: NDArray[np.int64]
    since: NDArray[np.int64]


class Believer:
    """Gives the intent `sure` 0.6 from its step `late` on and 0.4 before, acts for it at once, and moves nothing.

    What it is told it writes into `heard`, and gives it everything.
    """

    intents = TASKS
    heard: list[int]

    def __init__(self, sure: str = "kettle", late: int = 0, told: bool = False) -> None:
        self._sure, self._late, self.told = TASKS.index(sure), late, told
        self.heard = []

    def predict(
        self, observation: Mapping[str, Any], state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], State]:
        rows = len(observation["state"])
        before = np.full(rows, -1) if state is None else state.since
        since = np.where(episode_start, 0, before + 1)
        belief = np.full((rows, len(TASKS) + 1), 0.1)
        belief[:, self._sure] = np.where(since >= self._late, 0.6, 0.4)
        belief[:, -1] += 1 - belief.sum(1)
        intent = np.full(rows, self._sure)
        if self.told:
            self.heard.append(int(observation["intent"][0]))
            intent = observation["intent"]
            belief = np.eye(len(TASKS) + 1)[intent]
        mask = np.asarray(observation["operator_mask"], bool)
        return np.where(mask, observation["operator_action"], 0).astype(np.float32), State(belief, intent, since)
