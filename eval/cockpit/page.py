"""The page: viser draws the scene and the controls, and tells us what people do with them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import mujoco
import numpy as np
import viser
from mjviser import ViserMujocoScene

from autonomy.types import UserError
from envs.simulation import Vectors
from eval.cockpit import panel
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.devices import Keys, Sliders
from eval.cockpit.insight import Insight, look
from eval.cockpit.session import ARBITRATIONS, Snapshot
from eval.cockpit.steering import Joints

REFRESH = 0.1
"""Seconds between two pictures. They are drawn in a thread of their own, so that a slow page never delays a tick."""
CAMERA, LOOK_AT, FIELD_OF_VIEW = (-0.9, -1.3, 3.3), (-0.1, 0.5, 1.9), 0.8
GHOST_SECONDS = 0.4
"""How far ahead the ghost of the hand stands."""
GHOST_RADIUS, GHOST_COLOUR = 0.03, (25, 113, 194)


class Page:
    """Controls and displays of one `Cockpit`, for all browsers that look."""

    def __init__(self, cockpit: Cockpit, host: str, port: int) -> None:
        self.cockpit = cockpit
        self.server = viser.ViserServer(host=host, port=port, label="Shared autonomy", verbose=False)
        model = cockpit.simulator.model
        self._scene, self._scratch = ViserMujocoScene(self.server, model, num_envs=1), mujoco.MjData(model)
        self._ghost = self.server.scene.add_icosphere("/ghost", GHOST_RADIUS, color=GHOST_COLOUR, opacity=0.5)
        self._look_from_above()
        self._labels = Joints(len(cockpit.session.mask)).labels
        self._sliders: list[viser.GuiSliderHandle[float]] = []
        self._build()
        self.server.on_client_connect(lambda client: cockpit.join(client.client_id))
        self.server.on_client_disconnect(lambda client: cockpit.leave(client.client_id))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, daemon=True)
        self._thread.start()

    def _look_from_above(self) -> None:
        camera, self._scene.camera_tracking_enabled = self.server.initial_camera, False
        camera.position, camera.look_at, camera.fov = CAMERA, LOOK_AT, FIELD_OF_VIEW

    def close(self) -> None:
        """Hang up on all browsers."""
        self._stop.set()
        self._thread.join()
        self.server.stop()

    def _build(self) -> None:
        gui = self.server.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        self._status, self._rows = gui.add_html(""), gui.add_html("")
        for text, action in (
            ("Take over", self.cockpit.take_over),
            ("Pause or go on", self._pause),
            ("Reset", self._reset),
        ):
            self._button(text, action)
        self._build_device(gui)
        with gui.add_folder("Choose"):
            choices = self.cockpit.choices
            self._dropdown("channels", choices.channels)
            self._dropdown("assistant", tuple(choices.assistants))
            self._dropdown("arbitration", ARBITRATIONS)
            weight = gui.add_slider(
                "weight", 0.0, 1.0, 0.05, self.cockpit.session.weight, hint="of the operator, in blend"
            )
            weight.on_update(lambda event: self._choose(event, "weight"))
            self._dropdown("task set", choices.task_sets)
            self._dropdown("noise", choices.noises)

    def _build_device(self, gui: viser.GuiApi) -> None:
        device = self.cockpit.device
        if isinstance(device, Sliders):
            with gui.add_folder("Drive"):
                for index, label in enumerate(self.cockpit.steering.labels):
                    slider = gui.add_slider(label, -1.0, 1.0, 0.01, 0.0)
                    slider.on_update(partial(self._slide, index))
                    self._sliders.append(slider)
            self._button("Let go", self._release)
        elif isinstance(device, Keys):
            for key, (index, direction) in device.keys.items():
                name = f"{self.cockpit.steering.labels[index]} {'+' if direction > 0 else '-'}"
                gui.add_command(name, hotkey=key).on_trigger(partial(self._press, key))  # type: ignore[arg-type]

    def _press(self, key: str, event: viser.CommandEvent) -> None:
        self.cockpit.press(event.client_id, key)

    def _button(self, text: str, action: Callable[[int], None]) -> None:
        @self.server.gui.add_button(text).on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None and (action == self.cockpit.take_over or self._drives(event)):
                action(event.client_id)

    def _dropdown(self, what: str, options: tuple[str, ...]) -> None:
        handle = self.server.gui.add_dropdown(what, options, initial_value=self.cockpit.chosen.get(what, options[0]))
        handle.on_update(lambda event: self._choose(event, what))

    def _drives(self, event: Any) -> bool:
        return event.client_id is not None and event.client_id == self.cockpit.seats.driver

    def _choose(self, event: viser.GuiEvent[Any], what: str) -> None:
        if not self._drives(event):
            return
        try:
            self.cockpit.choose(what, event.target.value)
        except UserError as error:
            event.client.add_notification("Not possible", str(error), color="red")  # type: ignore[union-attr]

    def _slide(self, index: int, event: viser.GuiEvent[Any]) -> None:
        if event.client_id is not None and not self.cockpit.slide(event.client_id, index, event.target.value):
            self._put(index, float(self.cockpit.device.read().values[index]))

    def _put(self, index: int, value: float) -> None:
        slider: Any = self._sliders[index]
        slider.value = value

    def _release(self, _: int) -> None:
        for index in range(len(self._sliders)):
            self.cockpit.slide(self.cockpit.seats.driver, index, 0.0)
            self._put(index, 0.0)

    def _pause(self, _: int) -> None:
        self.cockpit.loop.pause(not self.cockpit.loop.paused)

    def _reset(self, _: int) -> None:
        self.cockpit.reset()

    def _draw_on(self) -> None:
        seen: Snapshot | None = None
        while not self._stop.wait(REFRESH):
            latest = self.cockpit.latest
            if latest is not None and latest is not seen:
                self._draw(latest)
            seen = latest

    def _draw(self, snapshot: Snapshot) -> None:
        cockpit = self.cockpit
        insight = look(copy.copy(cockpit.session.assistant), snapshot)
        with self.server.atomic():
            self._ghost.position = self._hand_at(snapshot.positions, 2.0 * GHOST_SECONDS * np.float64(insight.alone))
            self._hand_at(snapshot.positions, np.zeros(len(snapshot.mask)))
            self._scene.update_from_mjdata(self._scratch)
            self._rows.content = panel.rows(snapshot, insight, self._labels)
            self._status.content = self._headline(snapshot, insight)

    def _headline(self, snapshot: Snapshot, insight: Insight) -> str:
        seats, loop = self.cockpit.seats, self.cockpit.loop
        driver = "nobody drives: take over" if seats.driver is None else f"browser {seats.driver} drives"
        words = f"{driver}, {seats.watching} watching{', paused' if loop.paused else ''}"
        return panel.status(snapshot, insight, self.cockpit.simulator.tasks, loop.jitter(), words)

    def _hand_at(self, positions: Vectors, turned: Vectors) -> Vectors:
        """Where the hand is (3,) when the joints are at `positions` and the arm's are `turned` from there."""
        self._scratch.qpos[:] = positions
        self._scratch.qpos[: len(turned)] += turned
        mujoco.mj_kinematics(self._scene.mj_model, self._scratch)
        return np.array(self._scratch.site("end_effector").xpos)
