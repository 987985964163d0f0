"""Differential inverse kinematics: from a phase's aim to an action."""

from __future__ import annotations

import numpy as np
from scipy.optimize import lsq_linear

from autonomy.types import Mask
from envs.kitchen.expert.actuation import CONTROL_PERIOD, arm_action, finger_action, sag, velocity_bounds
from envs.kitchen.expert.geometry import Pose, Vector, capped, rotation_vector
from envs.kitchen.expert.phases import Phase
from envs.kitchen.expert.scene import Scene

REST = np.array([0.148, -1.755, 1.844, -2.477, 0.260, 0.713, 1.595])
"""The arm's posture at reset (rad), towards which spare motion is used."""
_POSITION_GAIN, _ROTATION_GAIN = 0.7, 0.5
"""Share of the remaining error to remove in one period."""
_TURN_SPEED = 1.6
"""Cap of the hand's angular velocity (rad/s)."""
_ROTATION_WEIGHT = 0.25
"""Metres per radian: the position wins where the two are in conflict."""
_DAMPING, _POSTURE_WEIGHT, _POSTURE_RATE, _JOINT_RATE = 0.02, 0.02, 1.5, 3.0


def _equations(scene: Scene, goal: Pose, phase: Phase, speed: float) -> tuple[Vector, Vector]:
    """Rows A (m, 7) and right-hand side b (m,) of  min |A v - b|  for the joint velocities v."""
    if phase.posture is not None:
        return np.eye(7), _JOINT_RATE * (phase.posture - scene.joints)
    linear = _POSITION_GAIN * (goal.position - scene.tool.position) / CONTROL_PERIOD
    angular = _ROTATION_GAIN * rotation_vector(goal.rotation @ scene.tool.rotation.T) / CONTROL_PERIOD
    rows = [
        scene.translation,
        _ROTATION_WEIGHT * scene.rotation,
        _DAMPING * np.eye(7),
        _POSTURE_WEIGHT * np.eye(7),
    ]
    targets = [
        capped(linear, speed * phase.speed),
        _ROTATION_WEIGHT * capped(angular, speed * _TURN_SPEED),
        np.zeros(7),
        _POSTURE_WEIGHT * _POSTURE_RATE * (REST - scene.joints),
    ]
    return np.concatenate(rows), np.concatenate(targets)


def solve(rows: Vector, target: Vector, low: Vector, high: Vector, fixed: Vector, free: Mask) -> Vector:
    """Joint velocities (7,) that minimise |rows v - target| with low <= v <= high on `free`, and v = `fixed`
    elsewhere."""
    velocities = np.array(fixed, dtype=np.float64)
    if free.any():
        rest = target - rows[:, ~free] @ velocities[~free]
        velocities[free] = _bounded(rows[:, free], rest, low[free], high[free])
    return velocities


def _bounded(rows: Vector, target: Vector, low: Vector, high: Vector) -> Vector:
    """argmin |rows v - target| with low <= v <= high: mostly the free minimum, of which scipy's set-up is most of the
    work."""
    free = np.asarray(np.linalg.lstsq(rows, target, rcond=-1)[0], np.float64)
    if (low <= free).all() and (free <= high).all():
        return free
    return np.asarray(lsq_linear(rows, target, (low, high), method="bvls").x)


def servo(scene: Scene, goal: Pose, phase: Phase, speed: float, held: Mask | None = None) -> Vector:
    """The action (9,) that moves the tool towards `goal`; `speed` scales the phase's caps.

    With `held` (9,), the joints held are solved again, taking the measured velocities of the others as given; the other
    dimensions keep the values that they have when all joints are held.
    """
    torque = scene.bias if phase.force is None else scene.bias + scene.translation.T @ phase.force(scene)
    offset = sag(torque)
    low, high = velocity_bounds(scene.joints, offset)
    rows, target = _equations(scene, goal, phase, speed)
    velocities = solve(rows, target, low, high, np.zeros(7), np.ones(7, dtype=bool))
    if held is not None:
        arm = np.asarray(held[:7], dtype=bool)
        velocities = np.where(arm, solve(rows, target, low, high, scene.velocities, arm), velocities)
    return np.concatenate([arm_action(velocities, offset), finger_action(phase.opening, scene.fingers)])
