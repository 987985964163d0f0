"""Sessions as Minari data sets: what was executed, and beside it who wanted what."""

from __future__ import annotations

import datetime
import json
import warnings
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.data_collector.episode_buffer import EpisodeBuffer
from numpy.typing import NDArray

from autonomy.types import Array, Mask
from envs.world import World
from eval.cockpit.corner import AnyCorner, Corner
from eval.cockpit.wishes import NOT_TOLD, Belief


class Recorder:
    """Records what is done in a `world`, of which its `corner` says what is observed.

    Each step of the data set has the observation, the executed action, and as infos `operator_action`,
    `operator_mask`, `assistant_action` (D,), `decision_ms`, and `handed_over` (D,), 1 for a dimension that changed
    hands and has not caught up with what was wanted. Actions are in the robot's units, as `data=minari` reads them.

    With names `intents` of K tasks there are also `belief` (K + 1,), the last "none of them", and `committed`, both of
    the assistant after the step's command; `told`, an index of `intents` or -1; `vetoed` (K,). Where the assistant has
    no belief, or does not know a task, its belief is NaN; `committed` is then -1, and K for "none of them".
    """

    def __init__(self, world: World, corner: Corner | None = None, intents: tuple[str, ...] = ()) -> None:
        self.world, self._corner, self._intents = world, corner or AnyCorner(), intents
        self._episodes: list[EpisodeBuffer] = []

    def begin(self, seed: int, state: Array) -> None:
        """The episode `seed` begins in `state` (S,). One without a step is not kept."""
        nothing = np.zeros(len(self.world.labels), np.float32)
        beside = self._beside(nothing, nothing, nothing.astype(np.bool_), 0.0, nothing.astype(np.bool_), None)
        infos = {key: [value] for key, value in beside.items()}
        first = self._corner.observation(self.world, state)
        self._episodes = self._kept()
        self._episodes.append(EpisodeBuffer(seed=seed, observations=[first], actions=[], infos=infos))

    def add(
        self,
        state: Array,
        reward: float,
        done: bool,
        info: dict[str, Any],
        ms: float,
        walking: Mask,
        belief: Belief | None,
    ) -> None:
        """A step that led to `state` (S,), with the `info` of `SharedControl` and what the assistant then believed."""
        episode: Any = self._episodes[-1]
        late = bool(info.get("TimeLimit.truncated"))
        episode.observations.append(self._corner.observation(self.world, state))
        episode.actions.append(self._robots(info["executed_action"]))
        episode.rewards.append(reward)
        episode.terminations.append(done and not late)
        episode.truncations.append(late)
        wishes = (info["operator_action"], info["assistant_action"], info["operator_mask"])
        for key, value in self._beside(*wishes, ms, walking, belief).items():
            episode.infos[key].append(value)

    def save(self) -> str | None:
        """Write the episodes so far as a data set of the local Minari store; its id, None when there are none."""
        episodes, self._episodes = self._kept(), []
        if not episodes:
            return None
        for episode in episodes:
            episode.truncations[-1] = not episode.terminations[-1]
        name = f"autonomy/cockpit/session-{datetime.datetime.now():%Y%m%d-%H%M%S-%f}-v0"
        tasks = self.world.tasks
        with warnings.catch_warnings():  # Minari asks for metadata that nobody reads
            warnings.simplefilter("ignore", UserWarning)
            observations: Any = episodes[0].observations
            dataset = minari.create_dataset_from_buffers(
                name,
                episodes,
                observation_space=gymnasium.spaces.Box(-np.inf, np.inf, observations[0].shape, np.float32),
                action_space=self._space(),
                description=f"shared control by a person: {', '.join(tasks) or 'no named tasks'}",
            )
        known = {"tasks": json.dumps(tasks), "intents": json.dumps(self._intents)}
        dataset.storage.update_episode_metadata([{"seed": episode.seed, **known} for episode in episodes])
        return name

    def _kept(self) -> list[EpisodeBuffer]:
        return [episode for episode in self._episodes if len(episode)]

    def _space(self) -> gymnasium.spaces.Box:
        box = self.world.box
        return gymnasium.spaces.Box(np.array(box.low, np.float32), np.array(box.high, np.float32), dtype=np.float32)

    def _robots(self, action: Array) -> Array:
        return self.world.box.unscaled(action).astype(np.float32)

    def _beside(
        self, operator: Array, assistant: Array, mask: Mask, ms: float, walking: Mask, belief: Belief | None
    ) -> dict[str, NDArray[Any]]:
        """The infos of a step."""
        return {
            "operator_action": self._robots(operator),
            "operator_mask": mask.astype(np.int8),
            "assistant_action": self._robots(assistant),
            "decision_ms": np.asarray(ms, np.float64),
            "handed_over": walking.astype(np.int8),
            **(_believed(belief, self._intents) if self._intents else {}),
        }


def _believed(belief: Belief | None, intents: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """What the assistant believes, in terms of the K tasks `intents`."""
    size = len(intents)
    shares, vetoed = np.full(size + 1, np.nan), np.zeros(size, np.int8)
    told = committed = NOT_TOLD
    if belief is not None:
        where = [*map(intents.index, belief.names), size]
        shares[where], vetoed[where[:-1]] = belief.shares, belief.vetoed
        committed = where[belief.committed]
        told = NOT_TOLD if belief.told == NOT_TOLD else where[belief.told]
    made = {"belief": shares, "vetoed": vetoed, "told": np.int64(told), "committed": np.int64(committed)}
    return {key: np.asarray(value) for key, value in made.items()}
