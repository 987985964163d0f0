"""The page: viser draws the scene, and what there is to read beside it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable

import viser

from eval.cockpit import panel
from eval.cockpit.bars import Bars
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.controls import Controls
from eval.cockpit.insight import Insight, Onlooker
from eval.cockpit.scene import scene_of
from eval.cockpit.session import Snapshot
from eval.cockpit.trial import ASKING

REFRESH = 0.2
"""Seconds between two pictures when there are no ticks. They are drawn in a thread of their own, right after a tick, so
that a slow page delays none."""
READ_EVERY = 3
"""Pictures between two looks into the assistant: four a second can be read."""


class Page:
    """Controls and displays of one `Cockpit`, for all browsers that look."""

    def __init__(self, cockpit: Cockpit, host: str, port: int, token: str | None = None) -> None:
        self.cockpit = cockpit
        self.server = viser.ViserServer(host=host, port=port, label="Shared autonomy", verbose=False)
        self.address = f"http://{self.server.get_host()}:{self.server.get_port()}"
        self.error: BaseException | None = None
        """What ended the drawing, if it was not `close`."""
        self._scene = scene_of(self.server, cockpit.simulator, cockpit.stage.corner)
        self.server.scene.configure_default_lights(cast_shadow=False)  # machines without a graphics card look too
        self.server.gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        self._status, self._rows = self.server.gui.add_html(""), self.server.gui.add_html("")
        self._drawn: Snapshot | None = None
        self._insight: Insight | None = None
        self._onlooker = Onlooker()
        self._asked, self._pictures = False, itertools.count()
        self._controls = Controls(self.server, cockpit, token)
        self._wished: Hashable = None
        self._bars = Bars(self.server.gui, self._controls.wish, self._rows.order + 0.5)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up on all browsers."""
        self._stop.set()
        self._thread.join()
        self.server.stop()

    def _draw_on(self) -> None:
        try:
            while not self._stop.is_set():
                self.cockpit.ticked.wait(REFRESH)
                self.cockpit.ticked.clear()
                self._refresh()
        except BaseException as error:
            self.error = error

    def _refresh(self) -> None:
        latest, trial, drawn = self.cockpit.latest, self.cockpit.trial, self._drawn
        if trial is not None and trial.state == ASKING and not self._asked:
            self._controls.ask()
        self._asked = trial is not None and trial.state == ASKING
        if latest is not None and latest is not drawn:
            self._drawn = latest
            self._draw(latest)
            if latest.ended and trial is None and not (drawn and drawn.ended):
                self._controls.sum_up()
        elif latest is not None and trial is None and self.cockpit.session.copilot.wishes.key != self._wished:
            self._show_belief(latest)  # what is told while nothing moves
        self._status.content = self._headline(latest)

    def _draw(self, snapshot: Snapshot) -> None:
        if self.cockpit.trial is None and next(self._pictures) % READ_EVERY == 0:
            self._explain(snapshot)
        self._scene.show(snapshot)

    def _explain(self, snapshot: Snapshot) -> None:
        """What a trial must not tell: who does what, and what the assistant would do alone."""
        self._show_belief(snapshot)
        self._insight = self._onlooker.look(snapshot)
        self._scene.point(snapshot, self._insight.alone)
        self._rows.content = panel.rows(snapshot, self._insight, self.cockpit.stage.world.labels)

    def _show_belief(self, snapshot: Snapshot) -> None:
        """Of the snapshot, with what has been told and vetoed since."""
        wishes = self.cockpit.session.copilot.wishes
        self._bars.show(None if snapshot.belief is None else snapshot.belief.after(wishes))
        self._wished = wishes.key

    def _headline(self, snapshot: Snapshot | None) -> str:
        seats, loop, trial = self.cockpit.seats, self.cockpit.loop, self.cockpit.trial
        driver = "nobody drives: take over" if seats.driver is None else f"browser {seats.driver} drives"
        words = f"{driver}, {seats.watching} watching{', paused' if self.cockpit.paused and trial is None else ''}"
        words = words if trial is None else f"{trial.words()} ({words})"
        if snapshot is None:
            return panel.message(words)
        return panel.status(snapshot, self._insight, self.cockpit.stage.world.tasks, loop.jitter(), words)
