"""Sessions as Minari data sets: what was executed, and beside it who wanted what."""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.data_collector.callbacks import StepDataCallback
from minari.dataset.step_data import StepData
from numpy.typing import NDArray

from autonomy.types import Array
from envs.kitchen.tasks import OBSERVATIONS, pose_of
from eval.cockpit.wishes import NOT_TOLD, Belief

Note = Mapping[str, NDArray[Any]]


class _Beside(StepDataCallback):
    """Stores a note in place of the environment's infos, whose structure changes from step to step."""

    def __init__(self, note: dict[str, NDArray[Any]]) -> None:
        self._note = note

    def __call__(self, env: Any, obs: Any, info: dict[str, Any], *args: Any, **step: Any) -> StepData:
        return super().__call__(env, obs, {key: value.copy() for key, value in self._note.items()}, *args, **step)


class Recorder(gymnasium.Wrapper[Array, Array, Array, Array]):
    """Records a kitchen with full observations, and shows those that the assistant reads (`obs`: pose or full).

    Each step of the data set has the full observation (59,), the executed action, and as infos `operator_action`,
    `operator_mask`, `assistant_action` (D,), `decision_ms`, and `handed_over` (D,), 1 for a dimension that changed
    hands and has not caught up with what was wanted.

    With names `intents` of K tasks there are also `belief` (K + 1,), the last "none of them", and `committed`, both of
    the assistant after the step's command; `told`, an index of `intents` or -1; `vetoed` (K,). Where the assistant has
    no belief, or does not know a task, its belief is NaN; `committed` is then -1, and K for "none of them".
    """

    def __init__(self, kitchen: gymnasium.Env[Array, Array], obs: str, intents: tuple[str, ...] = ()) -> None:
        self._intents = intents
        dim = kitchen.action_space.shape[0]  # type: ignore[index]
        self._beside: dict[str, NDArray[Any]] = {
            "operator_action": np.zeros(dim, np.float32),
            "operator_mask": np.zeros(dim, np.int8),
            "assistant_action": np.zeros(dim, np.float32),
            "decision_ms": np.zeros((), np.float64),
            "handed_over": np.zeros(dim, np.int8),
        }
        self.note_belief(None)
        beside = self._beside
        self._collector = minari.DataCollector(kitchen, step_data_callback=lambda: _Beside(beside), record_infos=True)
        super().__init__(self._collector)
        self._pose = obs == "pose"
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATIONS[obs],), np.float32)
        self._seeds: list[int] = []
        self._steps = 0

    def note(self, **values: Any) -> None:
        """What is stored beside the step that follows."""
        for key, value in values.items():
            self._beside[key] = np.asarray(value, self._beside[key].dtype)

    def note_belief(self, belief: Belief | None) -> None:
        """The same of what the assistant believes."""
        if not self._intents:
            return
        size = len(self._intents)
        shares, vetoed = np.full(size + 1, np.nan), np.zeros(size, np.int8)
        told = committed = NOT_TOLD
        if belief is not None:
            where = [*map(self._intents.index, belief.names), size]
            shares[where], vetoed[where[:-1]] = belief.shares, belief.vetoed
            committed = where[belief.committed]
            told = NOT_TOLD if belief.told == NOT_TOLD else where[belief.told]
        made = {"belief": shares, "vetoed": vetoed, "told": np.int64(told), "committed": np.int64(committed)}
        self._beside.update({key: np.asarray(value) for key, value in made.items()})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        if self._steps == 0 and self._seeds:
            self._seeds.pop()  # an episode without a step is not kept
        observation, info = self._collector.reset(seed=seed, options=options)
        self._seeds.append(int(info["seed"]))
        self._steps = 0
        return self._visible(observation), info

    def step(self, action: Array) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        observation, *rest, info = self._collector.step(action)
        self._steps += 1
        return (self._visible(observation), *rest, info)

    def save(self, tasks: tuple[str, ...]) -> str | None:
        """Write the episodes so far as a data set of the local Minari store; its id, None when there are none."""
        seeds = self._seeds if self._steps else self._seeds[:-1]
        if not seeds:
            return None
        name = f"autonomy/cockpit/session-{datetime.datetime.now():%Y%m%d-%H%M%S-%f}-v0"
        with warnings.catch_warnings():  # Minari asks for metadata that nobody reads
            warnings.simplefilter("ignore", UserWarning)
            dataset = self._collector.create_dataset(
                name, description=f"shared control by a person: {', '.join(tasks)}"
            )
        known = {"tasks": json.dumps(tasks), "intents": json.dumps(self._intents)}
        dataset.storage.update_episode_metadata([{"seed": seed, **known} for seed in seeds])
        self._seeds, self._steps = [], 0
        return name

    def _visible(self, observation: Array) -> Array:
        return pose_of(observation) if self._pose else observation
