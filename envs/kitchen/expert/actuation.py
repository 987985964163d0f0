"""The inverse of the kitchen's action pipeline: from wanted joint velocities to an action.

The environment sets each arm servo's target to q + a * 0.16 rad. The servo is heavily damped, so in one control
period the joint covers only the fraction TRACKING of the offset, less gravity's sag tau / STIFFNESS. Inverted:
    a = (v * 0.08 s / TRACKING + tau / STIFFNESS) / 0.16 rad
"""

from __future__ import annotations

import numpy as np

from envs.kitchen.expert.geometry import Vector

CONTROL_PERIOD = 0.08
"""Seconds a decision: 40 simulation steps of 2 ms."""
REACH = 2.0 * CONTROL_PERIOD
"""An action of 1 means 2 rad/s for one period: the target is 0.16 rad (or m, for the fingers) away."""
STIFFNESS = np.array([870.0, 870.0, 870.0, 870.0, 120.0, 120.0, 120.0])
"""Position gains of the arm's actuators (Nm/rad), from the model's actuator_gainprm."""
TRACKING = np.array([0.51, 0.49, 0.50, 0.51, 0.625, 0.625, 0.625])
"""Measured share of a target offset that a joint covers in one control period."""
JOINT_LOW = np.array([-2.88, -1.755, -2.88, -3.05, -2.88, 0.02, -2.88])
JOINT_HIGH = np.array([2.88, 1.755, 2.88, -0.42, 2.88, 2.10, 2.88])
"""Joint limits (rad) with a margin of about 0.02: the narrower of the model's range and the environment's target
range."""
_RETURN_SPEED = 0.3
"""How fast (rad/s) a joint beyond its limit may, and must be able to, come back."""
_FINGER_GAIN = 3.0


def sag(torque: Vector) -> Vector:
    """The target offset (7,) in rad that makes the servos hold `torque` (7,) in Nm."""
    return np.asarray(torque / STIFFNESS)


def velocity_bounds(joints: Vector, offset: Vector) -> tuple[Vector, Vector]:
    """The lowest and highest joint velocities (7,), (7,) that the action range and the joint limits allow.

    `offset` (7,): the part of the target offset that is already spent on torque. A limit is approached at most at the
    speed that stops there within one period.
    """
    low = np.maximum(
        (-REACH - offset) * TRACKING / CONTROL_PERIOD,
        np.minimum((JOINT_LOW - joints) / CONTROL_PERIOD, _RETURN_SPEED),
    )
    high = np.minimum(
        (REACH - offset) * TRACKING / CONTROL_PERIOD,
        np.maximum((JOINT_HIGH - joints) / CONTROL_PERIOD, -_RETURN_SPEED),
    )
    return low, np.maximum(high, low + 1e-6)


def arm_action(velocities: Vector, offset: Vector) -> Vector:
    """The action dims 0-6 for joint `velocities` (7,) in rad/s, with `offset` (7,) as the torque's share of the
    target."""
    return np.asarray(np.clip((velocities * CONTROL_PERIOD / TRACKING + offset) / REACH, -1.0, 1.0))


def finger_action(opening: float, fingers: Vector) -> Vector:
    """The action dims 7-8 that bring the `fingers` (2,) to `opening` (m, 0 to 0.04)."""
    return np.asarray(np.clip(_FINGER_GAIN * (opening - fingers) / REACH, -1.0, 1.0))
