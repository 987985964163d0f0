"""Steering by where the hand of the kitchen's arm should go."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from autonomy.types import Array, Mask
from envs.kitchen.expert.actuation import arm_action, sag

HAND_SPEED = 0.35
"""Metres a second that a full command asks of the hand."""
ARM, DAMPING = 7, 0.05


class Hand:
    """Three numbers: velocity of the hand to the right, towards the kitchen, and up.

    The held arm joints follow by damped least squares, v = J' (J J' + d^2 I)^-1 x' (Nakamura, Hanafusa, ASME J. Dyn.
    Sys. 108(3), 1986), with the columns of J that the operator holds; what they need against gravity is added.
    """

    labels: tuple[str, ...] = ("right", "forward", "up")

    def action(self, values: Array, simulator: Any, mask: Mask) -> Array:
        model, data = simulator.model, simulator.data
        translation = np.zeros((3, model.nv))
        mujoco.mj_jacSite(model, data, translation, None, model.site("end_effector").id)
        arm, target = np.flatnonzero(mask[:ARM]), HAND_SPEED * np.asarray(values, np.float64)
        jacobian, velocities = translation[:, arm], np.zeros(ARM)
        spread = jacobian @ jacobian.T + DAMPING**2 * np.eye(3)
        velocities[arm] = jacobian.T @ np.linalg.solve(spread, target)
        action = np.zeros(len(mask), np.float32)
        action[arm] = arm_action(velocities, sag(data.qfrc_bias[:ARM]))[arm]
        return action
