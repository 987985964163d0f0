"""What the expert sees: a read-only picture of the simulator, computed in scratch memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from envs.kitchen.expert.geometry import Pose, Vector

TOOL_LENGTH = 0.040
"""The tool point lies 4 cm beyond the site `end_effector`, 1 cm short of the finger ends (m)."""
_HANDLE_SITES = {
    "microwave": "microhandle_site",
    "kettle": "kettle_site",
    "bottom burner": "knob2_site",
    "top burner": "knob4_site",
    "slide cabinet": "slide_site",
    "hinge cabinet": "hinge_site2",
}
_JOINT_ADDRESSES = {
    "bottom burner": 11,
    "top burner": 15,
    "light switch": 17,
    "slide cabinet": 19,
    "hinge cabinet": 21,
    "microwave": 22,
}
_KETTLE = slice(23, 26)


@dataclass(frozen=True)
class Scene:
    """The simulator at one moment.

    `joints`, `velocities`, `bias` (7,): arm positions (rad), velocities (rad/s), gravity and Coriolis torques (Nm);
    `fingers` (2,) in m; `tool`: tool point and hand orientation; `translation`, `rotation` (3, 7): Jacobians at the
    tool point; `handles[task]` (3,): what a hand would touch; `angles[task]`: the object's joint; `kettle` (3,): its
    position.
    """

    joints: Vector
    velocities: Vector
    bias: Vector
    fingers: Vector
    tool: Pose
    translation: Vector
    rotation: Vector
    handles: Mapping[str, Vector]
    angles: Mapping[str, float]
    kettle: Vector


class Camera:
    """Takes pictures (`Scene`) of simulators that share one model. It never writes to their data."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._scratch = mujoco.MjData(model)
        self._wrist = model.site("end_effector").id
        self._hand = model.body("panda0_link7").id
        self._handles = {task: model.site(name).id for task, name in _HANDLE_SITES.items()}

    def take(self, simulator: Any) -> Scene:
        """The scene of `simulator.data`, with its kinematics evaluated in scratch memory."""
        data, scratch = simulator.data, self._scratch
        scratch.qpos[:] = data.qpos
        mujoco.mj_kinematics(self._model, scratch)
        mujoco.mj_comPos(self._model, scratch)
        hand = scratch.site_xmat[self._wrist].reshape(3, 3).copy()
        tool = Pose(scratch.site_xpos[self._wrist].copy(), hand).advanced(TOOL_LENGTH)
        translation, rotation = self._jacobians(tool.position)
        return Scene(
            joints=data.qpos[:7].copy(),
            velocities=data.qvel[:7].copy(),
            bias=data.qfrc_bias[:7].copy(),
            fingers=data.qpos[7:9].copy(),
            tool=tool,
            translation=translation,
            rotation=rotation,
            handles={task: scratch.site_xpos[site].copy() for task, site in self._handles.items()},
            angles={task: float(data.qpos[address]) for task, address in _JOINT_ADDRESSES.items()},
            kettle=data.qpos[_KETTLE].copy(),
        )

    def _jacobians(self, point: Vector) -> tuple[Vector, Vector]:
        translation, rotation = np.zeros((3, self._model.nv)), np.zeros((3, self._model.nv))
        mujoco.mj_jac(self._model, self._scratch, translation, rotation, point, self._hand)
        return translation[:, :7], rotation[:, :7]
