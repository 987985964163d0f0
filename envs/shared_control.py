"""Shared control: the operator is part of the world, and whoever steps it is the assistant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from autonomy.types import Array, Channels, Mask, Operator, UserError
from envs.arbitration import DIMS, Arbitration

Observation = dict[str, NDArray[Any]]


class SharedControl(VecEnvWrapper):
    """An operator moves some dimensions of every environment's action; the actions given to `step` fill in the others.

    Observation: `state` (B, S); `operator_action` (B, D), the operator's command, clipped to the action box, with 0
    where it holds nothing; `operator_mask` (B, D), 1 where it does. Executed: the operator's values on its dimensions,
    bit for bit, and the assistant's, clipped, elsewhere, unless another `arbitration` makes one action of the two. The
    mask is drawn from `channels` when an episode begins; `hold` changes it in mid-episode.

    `infos[i]` has `operator_action` (D,) (the whole action that the operator would execute), `assistant_action` (D,)
    (as given), `executed_action` (D,), `operator_mask` (D,) bool, `intent`, and `operator_errors`, the number of
    commands refused in this episode so far. A command that is not D finite numbers is refused: it counts as all zeros,
    so the operator's dimensions hold still, and `operator_error` says why. A `terminal_observation` has the mask of the
    finished episode and no command. `pursued` is the task that the operator is after: the first of `intent` that is not
    in the world's `completed`, or None.

    With the names `tell`, somebody tells the assistant: the observation also has `intent` (B,) int64, the index in
    `tell` of the task that the operator pursues now, and -1 when it pursues none of them.

    An episode's draws come from its own generator, made of `seed` and the episode's seed (`reset_infos[i]["seed"]`) or,
    for environments that report none, of `seed`, the index i and the number of the episode. So they do not depend on
    the number of environments, nor the operator's on the channels. `simulators` are given to the operator: those
    that the vector environment shows, a DummyVecEnv's bare environments, or none when they live in other processes.

    Raises `UserError` for spaces that are not vectors, channels of another width, a negative seed, names in `tell` that
    are not different strings, and for an assistant whose actions are not (B, D) finite numbers.
    """

    def __init__(
        self,
        venv: VecEnv,
        operator: Operator,
        channels: Channels,
        seed: int = 0,
        tell: Sequence[str] = (),
        arbitration: Arbitration = DIMS,
    ) -> None:
        box = _check_spaces(venv)
        self._dim, self._low, self._high = box.shape[0], box.low, box.high
        self._tell = _check_names(tell)
        seen = {"state": venv.observation_space, "operator_action": box, "operator_mask": spaces.MultiBinary(self._dim)}
        told = {"intent": spaces.Discrete(len(self._tell) + 1, start=-1)} if self._tell else {}
        super().__init__(venv, observation_space=spaces.Dict({**seen, **told}))
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"the seed must be a whole number of at least 0, got {seed!r}")
        width = channels.sample(1, np.random.default_rng(0)).shape[-1]
        if width != self._dim:
            raise UserError(f"the channels are for {width} action dimensions, the environment has {self._dim}")
        self.operator, self.channels, self._seed, self.arbitration = operator, channels, seed, arbitration
        self.simulators: list[Any] = _simulators(venv.unwrapped)
        self._started = np.zeros(self.num_envs, np.int64)
        self._refused = np.zeros(self.num_envs, np.int64)
        self._mask = np.zeros((self.num_envs, self._dim), np.bool_)
        self._command = np.zeros((self.num_envs, self._dim), np.float32)
        self._states = np.zeros((self.num_envs, *venv.observation_space.shape), np.float32)  # type: ignore[misc]
        self._sentences: list[str | None] = [None] * self.num_envs
        self._completed: list[tuple[str, ...]] = [()] * self.num_envs
        self._assistant = self._executed = self._command

    def reset(self) -> Observation:
        states = self.venv.reset()
        for i in range(self.num_envs):
            self._begin(i)
        return self._observe(np.asarray(states))

    @property
    def command(self) -> Array:
        """The whole actions (B, D) that the operator would execute now, clipped; zeros for refused ones."""
        return np.array(self._command, np.float32)

    def hold(self, mask: Mask) -> None:
        """From now on the operator holds `mask` (B, D), in each environment until its next episode begins.

        What is observed changes with the next `observe` or `step`. Raises `UserError` for a mask of another shape.
        """
        if np.shape(mask) != self._mask.shape:
            raise UserError(f"the mask must have the shape {self._mask.shape}, got {np.shape(mask)}")
        self._mask = np.array(mask, np.bool_)

    def observe(self) -> Observation:
        """The present states with what the operator commands now: it is asked anew.

        For an operator that changes its mind between two steps, such as a person.
        """
        return self._observe(self._states)

    def step_async(self, actions: NDArray[Any]) -> None:
        self._assistant = self._check_assistant(actions)
        self._refused += [sentence is not None for sentence in self._sentences]
        filled = np.clip(self._assistant, self._low, self._high)
        self._executed = self.arbitration.combine(self._command, filled, self._mask)
        self.venv.step_async(self._executed)

    def step_wait(self) -> VecEnvStepReturn:
        states, rewards, dones, infos = self.venv.step_wait()
        for i, info in enumerate(infos):
            self._completed[i] = tuple(info.get("completed", ()))
            self._report(i, info)
            if dones[i]:
                self._begin(i)
        return self._observe(np.asarray(states)), rewards, dones, infos

    def _begin(self, index: int) -> None:
        """An episode begins: draw what the operator holds, then let it draw its plan."""
        episode = self.venv.unwrapped.reset_infos[index].get("seed")
        entropy = (index, int(self._started[index])) if episode is None else (int(episode),)
        rng = np.random.default_rng([self._seed, *entropy])
        self._mask[index] = self.channels.sample(1, rng.spawn(1)[0])[0]
        self.operator.reset(index, rng, self._mask[index].copy())
        self._completed[index] = tuple(self.venv.unwrapped.reset_infos[index].get("completed", ()))
        self._started[index] += 1
        self._refused[index] = 0

    def _observe(self, states: Array) -> Observation:
        """Ask the operator, refuse what is no command, clip the rest."""
        self.reset_infos = self.venv.unwrapped.reset_infos
        self._states = states
        answer = self.operator.act(states, self.simulators)
        self._command = np.zeros((self.num_envs, self._dim), np.float32)
        for i in range(self.num_envs):
            command = _read_command(answer, i, self.num_envs, self._dim)
            self._sentences[i] = command if isinstance(command, str) else None
            if not isinstance(command, str):
                self._command[i] = np.clip(command, self._low, self._high)
        observation = {
            "state": states,
            "operator_action": np.where(self._mask, self._command, np.float32(0)),
            "operator_mask": self._mask.astype(np.int8),
        }
        if self._tell:
            observation["intent"] = np.array([self._told(i) for i in range(self.num_envs)], np.int64)
        return observation

    def _pursued(self, index: int) -> str | None:
        """The first task of the operator's plan that is not completed."""
        plan, completed = self.operator.intent(index), self._completed[index]
        return next((task for task in plan if task not in completed), None)

    def _told(self, index: int) -> int:
        """Where in `tell` the task that the operator pursues is, or -1."""
        task = self._pursued(index)
        return self._tell.index(task) if task in self._tell else -1

    def _report(self, index: int, info: dict[str, Any]) -> None:
        """Who moved what in this step, and whether the operator's command was refused."""
        info["operator_action"] = self._command[index].copy()
        info["assistant_action"] = self._assistant[index].copy()
        info["executed_action"] = self._executed[index].copy()
        info["operator_mask"] = self._mask[index].copy()
        info["intent"] = self.operator.intent(index)
        info["pursued"] = self._pursued(index)
        info["operator_errors"] = int(self._refused[index])
        sentence = self._sentences[index]
        if sentence is not None:
            info["operator_error"] = sentence
        if "terminal_observation" in info:
            info["terminal_observation"] = {
                "state": info["terminal_observation"],
                "operator_action": np.zeros(self._dim, np.float32),
                "operator_mask": self._mask[index].astype(np.int8),
                **({"intent": np.int64(self._told(index))} if self._tell else {}),
            }

    def _check_assistant(self, actions: NDArray[Any]) -> Array:
        actions = np.array(actions, np.float32)
        if actions.shape != self._mask.shape:
            raise UserError(f"the assistant must return actions of shape {self._mask.shape}, got {actions.shape}")
        wrong = np.flatnonzero(~np.isfinite(actions).all(axis=1))
        if len(wrong):
            raise UserError(f"the assistant's actions must be finite, got NaN or infinity in rows {wrong.tolist()}")
        return actions


def _simulators(venv: VecEnv) -> list[Any]:
    """What the vector environment shows of its simulators, or a DummyVecEnv's bare environments."""
    plain = venv.get_attr("unwrapped") if isinstance(venv, DummyVecEnv) else []
    return list(getattr(venv, "simulators", plain))


def _check_spaces(venv: VecEnv) -> spaces.Box:
    """The action space. Raises `UserError` unless actions and observations are vectors, the actions bounded."""
    actions, states = venv.action_space, venv.observation_space
    if not (isinstance(actions, spaces.Box) and len(actions.shape) == 1 and actions.is_bounded()):
        raise UserError(f"shared control needs a bounded Box of one dimension as action space, got {actions}")
    if not (isinstance(states, spaces.Box) and len(states.shape) == 1):
        raise UserError(f"shared control needs a Box of one dimension as observation space, got {states}")
    return actions


def _check_names(tell: Sequence[str]) -> tuple[str, ...]:
    """The tasks that the assistant may be told. Raises `UserError` unless they are different names."""
    names = (tell,) if isinstance(tell, str) else tuple(tell)
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise UserError(f"what to tell the assistant must be different names of tasks, got {list(names)}")
    return names


def _read_command(answer: Any, index: int, count: int, dim: int) -> Array | str:
    """The command (`dim`,) for environment `index` in the operator's answer for `count` of them, or why it is none.

    Rows are read one at a time, so that a broken one does not spoil the others.
    """
    wanted = f"the operator must return {dim} finite numbers for each of {count} environments"
    try:
        if len(answer) != count:
            return f"{wanted}, got {len(answer)} rows"
        command = np.asarray(answer[index], np.float32)
    except (TypeError, ValueError, LookupError):
        return f"{wanted}, got something else"
    if command.shape != (dim,):
        return f"{wanted}, got shape {command.shape}"
    if not np.isfinite(command).all():
        return f"{wanted}, got NaN or infinity in dimensions {np.flatnonzero(~np.isfinite(command)).tolist()}"
    return command
