"""What of the world is seen on the page: MuJoCo's scene, or pictures of the world's own camera, or nothing."""

from __future__ import annotations

from typing import Any, Protocol

import mujoco
import viser
from mjviser import ViserMujocoScene

from autonomy.types import Array
from eval.cockpit.corner import Corner, View
from eval.cockpit.session import Snapshot
from eval.cockpit.stage import is_mujoco

GHOST_RADIUS, GHOST_COLOUR = 0.03, (25, 113, 194)


class Scene(Protocol):
    """What the browsers see beside the controls."""

    def show(self, snapshot: Snapshot) -> None:
        """The world of `snapshot`."""
        ...

    def point(self, snapshot: Snapshot, action: Array) -> None:
        """Where `action` (D,), the assistant's own, would lead to."""
        ...


class MujocoScene:
    """Draws the bodies of a simulator. A ghost that the `corner` knows of appears when it is first pointed at."""

    def __init__(self, server: viser.ViserServer, simulator: Any, corner: Corner) -> None:
        self._server, self._corner, self._ghost = server, corner, None
        self._model, self._scratch = simulator.model, mujoco.MjData(simulator.model)
        self._scene = ViserMujocoScene(server, self._model, num_envs=1)
        self._look(corner.view)

    def show(self, snapshot: Snapshot) -> None:
        self._scratch.qpos[:] = snapshot.positions
        mujoco.mj_kinematics(self._model, self._scratch)
        self._scene.update_from_mjdata(self._scratch)

    def point(self, snapshot: Snapshot, action: Array) -> None:
        place = self._corner.ghost(self._model, self._scratch, snapshot.positions, action)
        if place is None:
            return
        ghost: Any = self._ghost or self._server.scene.add_icosphere(
            "/ghost", GHOST_RADIUS, color=GHOST_COLOUR, opacity=0.5
        )
        ghost.position, self._ghost = place, ghost

    def _look(self, view: View | None) -> None:
        """From where the corner says, or after what moves, from as far as the model is large."""
        camera, self._scene.camera_tracking_enabled = self._server.initial_camera, view is None
        if view is not None:
            camera.position, camera.look_at, camera.fov = view
            return
        far = float(self._model.stat.extent)
        camera.position, camera.look_at = (0.0, -1.5 * far, 0.5 * far), (0.0, 0.0, 0.0)


class PictureScene:
    """Shows what the world's camera sees behind the controls; nothing where it has none."""

    def __init__(self, server: viser.ViserServer) -> None:
        self._server = server

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.picture is not None:
            self._server.scene.set_background_image(snapshot.picture, format="jpeg")

    def point(self, snapshot: Snapshot, action: Array) -> None:
        """A picture has no place for it."""


def scene_of(server: viser.ViserServer, simulator: Any, corner: Corner) -> Scene:
    """The way to show the world of `simulator`."""
    return MujocoScene(server, simulator, corner) if is_mujoco(simulator) else PictureScene(server)
