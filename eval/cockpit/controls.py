"""What people can do on the page. Only the driver's hands count; everybody sees the same controls."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any

import viser

from autonomy.types import UserError
from envs.arbitration import ARBITRATIONS
from eval.cockpit import panel
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.devices import Keys, Sliders
from eval.cockpit.trial import SCALES


class Controls:
    """Buttons, sliders and choices of one `Cockpit` on a server; in a trial only what does not tell who helps.

    `token`: what a browser must be given before it counts as present, None for none.
    """

    def __init__(self, server: viser.ViserServer, cockpit: Cockpit, token: str | None) -> None:
        self._server, self._cockpit, self._token = server, cockpit, token
        self._sliders: list[Any] = []
        self._summary: Any = None
        self._button("Take over", cockpit.take_over)
        if cockpit.trial is None:
            self._button("Pause or go on", self._pause)
            self._button("Reset", lambda _: cockpit.reset())
            self._button("Finish", self._finish)
        else:
            self._button("Start", lambda _: cockpit.begin())
        self._build_device(server.gui)
        if cockpit.trial is None:
            self._build_choices(server.gui)
        server.on_client_connect(self._enter)
        server.on_client_disconnect(lambda client: cockpit.leave(client.client_id))

    def _enter(self, client: viser.ClientHandle) -> None:
        if self._token is None:
            self._cockpit.join(client.client_id)
            return
        field = client.gui.add_text("token", "", hint="Whoever started the cockpit has it.", order=-1)
        field.on_update(lambda _: self._admit(client, field))

    def _admit(self, client: viser.ClientHandle, field: viser.GuiTextHandle) -> None:
        if hmac.compare_digest(field.value.encode(), str(self._token).encode()):
            field.remove()
            self._cockpit.join(client.client_id)

    def _build_device(self, gui: viser.GuiApi) -> None:
        device, labels = self._cockpit.device, self._cockpit.steering.labels
        if isinstance(device, Sliders):
            with gui.add_folder("Drive"):
                for index, label in enumerate(labels):
                    slider = gui.add_slider(label, -1.0, 1.0, 0.01, 0.0)
                    slider.on_update(partial(self._slide, index))
                    self._sliders.append(slider)
            self._button("Let go", self._let_go)
        elif isinstance(device, Keys):
            for key, (index, direction) in device.keys.items():
                command = gui.add_command(f"{labels[index]} {'+' if direction > 0 else '-'}", hotkey=key)  # type: ignore[arg-type]
                command.on_trigger(partial(self._press, key))

    def _build_choices(self, gui: viser.GuiApi) -> None:
        choices = self._cockpit.choices
        with gui.add_folder("Choose"):
            self._dropdown("channels", tuple(choices.channels))
            self._dropdown("assistant", tuple(choices.assistants))
            self._dropdown("arbitration", ARBITRATIONS)
            weight = gui.add_slider("weight", 0.0, 1.0, 0.05, self._cockpit.chosen["weight"], hint="of the operator")
            weight.on_update(lambda event: self._choose(event, "weight"))
            for menu, options in self._cockpit.stage.corner.menus.items():
                self._dropdown(menu, options)

    def _press(self, key: str, event: viser.CommandEvent) -> None:
        self._cockpit.press(event.client_id, key)

    def _button(self, text: str, action: Callable[[int], None]) -> None:
        @self._server.gui.add_button(text).on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None and (text == "Take over" or self._drives(event)):
                action(event.client_id)

    def _dropdown(self, what: str, options: tuple[str, ...]) -> None:
        handle = self._server.gui.add_dropdown(what, options, initial_value=self._cockpit.chosen[what])
        handle.on_update(lambda event: self._choose(event, what))

    def _drives(self, event: viser.GuiEvent[Any]) -> bool:
        return event.client_id is not None and event.client_id == self._cockpit.seats.driver

    def _choose(self, event: viser.GuiEvent[Any], what: str) -> None:
        if event.client_id is None:  # it was put back
            return
        if not self._drives(event):
            event.target.value = self._cockpit.chosen[what]
            return
        try:
            self._cockpit.choose(what, event.target.value)
        except UserError as error:
            event.target.value = self._cockpit.chosen[what]
            event.client.add_notification("Not possible", str(error), color="red")  # type: ignore[union-attr]

    def _slide(self, index: int, event: viser.GuiEvent[Any]) -> None:
        if event.client_id is not None and not self._cockpit.slide(event.client_id, index, event.target.value):
            self._sliders[index].value = float(self._cockpit.device.read().values[index])

    def wish(self, event: viser.GuiEvent[Any], task: str) -> None:
        """A task was pressed: see `Cockpit.wish`."""
        try:
            self._cockpit.wish(event.client_id, task)
        except UserError as error:  # another assistant has taken its place
            event.client.add_notification("Not possible", str(error), color="red")  # type: ignore[union-attr]

    def _let_go(self, who: int) -> None:
        self._cockpit.let_go(who)
        for slider in self._sliders:
            slider.value = 0.0

    def _pause(self, _: int) -> None:
        self._cockpit.paused = not self._cockpit.paused

    def _finish(self, _: int) -> None:
        self._cockpit.finish()
        self.sum_up()

    def sum_up(self) -> None:
        """Show what was done so far."""
        self._close()
        with self._server.gui.add_modal("What was done") as self._summary:
            self._server.gui.add_html(panel.summary(self._cockpit.logbook, self._cockpit.saved))
            self._server.gui.add_button("Close").on_click(lambda _: self._close())

    def _close(self) -> None:
        if self._summary is not None:
            self._summary.close()
            self._summary = None

    def ask(self) -> None:
        """Show the trial's questions; the driver's answers count."""
        folder = self._server.gui.add_folder("Questions", order=0)
        with folder:
            scales = {
                scale: self._server.gui.add_slider(scale, 0, 100, 5, 50, hint=question)
                for scale, question in SCALES.items()
            }
            submit = self._server.gui.add_button("Submit")

        @submit.on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            if self._drives(event):
                self._cockpit.answer({scale: slider.value for scale, slider in scales.items()})
                folder.remove()
