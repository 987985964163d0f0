"""Reaching objects in an order that only the operator knows: shared autonomy's standard problem, made small.

As in Javdani, Srinivasa, Bagnell, "Shared Autonomy via Hindsight Optimization" (RSS 2015), everybody sees the objects
and one of them is wanted. As in Reddy, Dragan, Levine, "Shared Autonomy via Deep Reinforcement Learning" (RSS 2018),
the assistant is told neither the goal nor how the operator acts: it has the operator's commands to go by, and rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from autonomy.types import Array, Mask, UserError
from envs.operators import ProxyOperator

DIM = 3
STEP = 0.2
"""How far an action of 1 moves the hand along an axis in one step; the room is 2 wide."""
NEAR = 0.1
"""At this distance an object is reached."""
PIXELS = 352


class Reach(gymnasium.Env[Array, Array]):
    """A hand in the cube [-1, 1]^3 among `objects` K points; one is the goal, and when it is reached another one.

    State (3 K,): the way from the hand to each object. Action (3,) in [-1, 1]: the hand moves by `STEP` times the
    action and stays in the cube. Reward: 1 for a goal that is reached, and how much nearer to it the hand came. Hand,
    objects and goals are drawn uniformly, the goals from the others; they are not in the state, and where the hand is
    does not tell where it is going, so waiting for it costs time. Nothing ends an episode but its length. `reached`,
    also in `info`, is the number of goals so far. Raises `UserError` for less than two objects.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": ["rgb_array"],
        "render_fps": 20,
    }
    action_space = spaces.Box(-1.0, 1.0, (DIM,), np.float32)

    def __init__(self, objects: int = 3, render_mode: str | None = None) -> None:
        if isinstance(objects, bool) or not isinstance(objects, int) or objects < 2:
            raise UserError(f"the number of objects must be a whole number of at least 2, got {objects!r}")
        self._count, self.render_mode, self.reached = objects, render_mode, 0
        self.observation_space = spaces.Box(-2.0, 2.0, (DIM * objects,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        places = self.np_random.uniform(-1.0, 1.0, (1 + self._count, DIM))
        self._hand, self._objects = places[0], places[1:]
        self.reached, self.goal = 0, int(self.np_random.integers(self._count))
        return self._state(), {"reached": 0}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        before = np.linalg.norm(self.way)
        self._hand = np.clip(self._hand + STEP * np.clip(action, -1.0, 1.0), -1.0, 1.0)
        distance = np.linalg.norm(self.way)
        reward = float(before - distance)
        if distance < NEAR:
            reward += 1.0
            self.reached += 1
            self.goal = (self.goal + int(self.np_random.integers(1, self._count))) % self._count
        return self._state(), reward, False, False, {"reached": self.reached}

    @property
    def way(self) -> Array:
        """From the hand to the goal, (3,): what the operator knows."""
        return np.asarray(self._objects[self.goal] - self._hand, np.float32)

    def render(self) -> NDArray[np.uint8]:
        """The room from above, (`PIXELS`, `PIXELS`, 3): the hand black, the goal orange; what is high is large."""
        picture = np.full((PIXELS, PIXELS, 3), 250, np.uint8)
        rows, columns = np.mgrid[1 : -1 : PIXELS * 1j, -1 : 1 : PIXELS * 1j] * 1.2
        colours = [(217, 95, 2) if index == self.goal else (150, 150, 150) for index in range(self._count)]
        for (x, y, z), colour in zip([*self._objects, self._hand], [*colours, (30, 30, 30)], strict=True):
            picture[np.hypot(columns - x, rows - y) < 0.08 + 0.04 * z] = colour
        return picture

    def _state(self) -> Array:
        return np.asarray(self._objects - self._hand, np.float32).ravel()


class ReachOperator(ProxyOperator):
    """Points straight at the goal, at full speed until it is there: a = way / max(|way|, `STEP`)."""

    def __init__(self) -> None:
        super().__init__("reach")
        self._goals: dict[int, int] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._goals.pop(index, None)

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """Raises `UserError` when the simulators are not in this process."""
        if len(simulators) != len(states):
            raise UserError("the reach operator reads the goal, so it needs environments in this process")
        self._goals = {index: simulator.goal for index, simulator in enumerate(simulators)}
        ways = np.stack([simulator.way for simulator in simulators])
        return np.asarray(ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), STEP), np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return (f"object {self._goals[index]}",) if index in self._goals else ()
