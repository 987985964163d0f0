"""Gymnasium-Robotics' Fetch arm, whose goal only the operator knows: a scripted operator that pushes, picks and places.

As `envs.gym.GymWorld` reads them in configs/env/fetch.yaml, states (25,) are the environment's `observation`: where
gripper and block are and how they move. The goal is drawn apart from them, and nothing in the state tells it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, Mask, UserError
from envs.operators import ProxyOperator

DIM = 4
STATES = 25
HIGH = 0.1
"""A goal that is so many metres above the table is in the region `high`."""
_GAIN = 10.0
"""The gripper lags behind its target, so an action is so much for each metre that is left."""
_GRASPED = 0.055
"""Fingers that are closer than this (m), with the block between them, hold it."""
_THERE = 0.02
"""A block that is so near to its goal (m) is pushed no more; success is 0.05."""
_TURN = 0.9
"""How far (rad) ahead on the circle round the block the gripper aims."""
Vector = NDArray[np.float64]


def region(simulator: Any) -> str:
    """The region of a Fetch environment's goal: `high`, or left or right and near or far, as the robot sees it."""
    goal, middle = np.asarray(simulator.goal), np.asarray(simulator.initial_gripper_xpos)
    if goal[2] - simulator.height_offset > HIGH:
        return "high"
    return f"{'left' if goal[1] > middle[1] else 'right'} {'far' if goal[0] > middle[0] else 'near'}"


@dataclasses.dataclass(frozen=True)
class Style:
    """How an episode is done.

    `speed` is the share of the full one, `high` how far (m) above the block the gripper comes to it, `wide` how far
    from it it goes round it, and `hand` the standard deviation of what a shaky hand adds to its motion.
    """

    speed: float
    high: float
    wide: float
    hand: float

    @classmethod
    def drawn(cls, jitter: float, rng: np.random.Generator) -> Style:
        """Draw a style, which differs the more from the plain one, the larger `jitter` in [0, 1] is."""
        slow, high, wide = jitter * rng.uniform(size=3)
        return cls(1.0 - 0.4 * slow, 0.06 + 0.04 * high, 0.09 + 0.03 * wide, 0.2 * jitter)


class FetchOperator(ProxyOperator):
    """Moves the block to the goal: pushes it where the environment keeps the gripper shut, else picks and places it.

    It reads gripper and block from the state and the goal from the simulator, and acts by what it sees alone, so that
    it goes on from wherever an assistant has brought the arm. With `jitter`, 0 to 1, the pace and the height at which
    it travels are drawn in every episode, and its hand shakes. Its intent is the goal's region, see `region`. Raises
    `UserError` for a `jitter` out of range and, when asked to act, for another environment or state than Fetch's.
    """

    def __init__(self, jitter: float = 0.3) -> None:
        super().__init__("fetch")
        if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
            raise UserError(f"the fetch operator's jitter must be a number from 0 to 1, got {jitter!r}")
        self._jitter = float(jitter)
        self._rng: dict[int, np.random.Generator] = {}
        self._style: dict[int, Style] = {}
        self._regions: dict[int, str] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._style[index], self._rng[index] = Style.drawn(self._jitter, rng), rng
        self._regions.pop(index, None)

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """Raises `UserError` unless the simulators are Fetch environments with a block, in this process."""
        if len(simulators) != len(states):
            raise UserError("the fetch operator reads the goal, so it needs environments in this process")
        if states.shape[1:] != (STATES,) or not all(hasattr(simulator, "block_gripper") for simulator in simulators):
            raise UserError("the fetch operator moves the block of env=fetch or env=fetch-push, which is not here")
        self._regions = {index: region(simulator) for index, simulator in enumerate(simulators)}
        return np.stack([self._command(i, states[i], simulator) for i, simulator in enumerate(simulators)])

    def intent(self, index: int) -> tuple[str, ...]:
        return (self._regions[index],) if index in self._regions else ()

    def _command(self, index: int, state: Array, simulator: Any) -> Array:
        style, goal = self._style[index], np.asarray(simulator.goal, np.float64)
        solve = _push if simulator.block_gripper else _pick
        action = solve(np.asarray(state, np.float64), goal, style)
        action += self._rng[index].normal(0.0, style.hand, DIM) * [1.0, 1.0, 1.0, 0.2]
        return np.asarray(np.clip(action, -1.0, 1.0), np.float32)


def _towards(way: Vector, style: Style, grip: float) -> Vector:
    """The action (4,) that goes the `way` (3,) at the style's pace, and opens (1) or closes (-1) the gripper."""
    drive = _GAIN * way
    return np.append(style.speed * drive / max(1.0, float(np.abs(drive).max())), grip)


def _pick(state: Vector, goal: Vector, style: Style) -> Vector:
    """Over the block with open fingers, down, close, and to the goal; from the start when the block slips."""
    way, opening = state[6:9], float(state[9:11].sum())
    across, up = float(np.linalg.norm(way[:2])), -float(way[2])
    if opening < _GRASPED and across < 0.03 and abs(up) < 0.03:
        return _towards(goal - state[3:6], style, -1.0)
    if across < 0.02 and abs(up) < 0.015:
        return _towards(np.append(way[:2], -up), style, -1.0)
    above = across > 0.015 + 0.01 * (up < 0.04)
    return _towards(np.append(way[:2], style.high - up if above else -up - 0.003), style, 1.0)


def _push(state: Vector, goal: Vector, style: Style) -> Vector:
    """Round the block to the side that is away from the goal, and on with the block in front; always at its height."""
    way, left = state[6:9], goal[:2] - state[3:5]
    distance = float(np.linalg.norm(left))
    ahead = left / max(distance, 1e-6)
    along = float(way[:2] @ ahead)
    side = way[:2] - along * ahead
    if distance < _THERE:
        plane = np.zeros(2)
    elif along > 0.0 and np.linalg.norm(side) < 0.025:
        plane = 2.0 * side + ahead * (0.02 + distance)
    else:
        plane = _round(-way[:2], -ahead, style.wide) + way[:2]
    return _towards(np.append(plane, way[2]), style, 0.0)


def _round(place: Vector, side: Vector, radius: float) -> Vector:
    """Where to go next on a circle (2,) about the origin, from `place` (2,) to the direction `side` (2,)."""
    turn = np.arctan2(place[0] * side[1] - place[1] * side[0], place @ side)
    angle = np.arctan2(place[1], place[0]) + np.clip(turn, -_TURN, _TURN)
    return radius * np.array([np.cos(angle), np.sin(angle)])
