"""Beside each task how sure the assistant is that the operator is after it; a click tells it, another one vetoes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import viser

from eval.cockpit.wishes import NONE_OF_THEM, Belief

TITLE, HINT = "What are you after?", "Click: this one. Again: not this one. A third time: neither."
TOLD, VETOED, COMMITTED, OPEN = (43, 138, 62), (201, 42, 42), (25, 113, 194), (134, 142, 150)
"""Colours: a told task, a vetoed one, the one that the assistant acts for, the others."""


class Bars:
    """A button and a bar for each task of a `Belief`, and a bar for none of them. `pressed(event, task)` is called.

    `order`: where in the page, after what has a lower number.
    """

    def __init__(self, gui: viser.GuiApi, pressed: Callable[[viser.GuiEvent[Any], str], None], order: float) -> None:
        self._gui, self._pressed, self._order = gui, pressed, order
        self._names: tuple[str, ...] = ()
        self._folder: Any = None
        self._buttons: list[Any] = []
        self._bars: list[Any] = []

    def show(self, belief: Belief | None) -> None:
        """Draw `belief`; None takes everything away."""
        names = () if belief is None else belief.names
        if names != self._names:
            self._build(names)
        if belief is None:
            return
        for index, (button, bar) in enumerate(zip(self._buttons, self._bars, strict=True)):
            button.label, button.color = caption(belief, index), _colour(belief, index)
            bar.value, bar.color = 100 * min(1.0, float(belief.shares[index])), _colour(belief, index)

    def _build(self, names: tuple[str, ...]) -> None:
        if self._folder is not None:
            self._folder.remove()
        self._names, self._folder, self._buttons, self._bars = names, None, [], []
        if not names:
            return
        self._folder = self._gui.add_folder(TITLE, order=self._order)
        with self._folder:
            for name in (*names, NONE_OF_THEM):
                none = name == NONE_OF_THEM
                button = self._gui.add_button(name, disabled=none, hint=None if none else HINT)
                if not none:
                    button.on_click(partial(self._click, name))
                self._buttons.append(button)
                self._bars.append(self._gui.add_progress_bar(0.0))

    def _click(self, name: str, event: viser.GuiEvent[Any]) -> None:
        self._pressed(event, name)


def caption(belief: Belief, index: int) -> str:
    """The task, how sure, and what was said of it and decided."""
    words = [f"{belief.title(index)} {belief.shares[index]:.0%}"]
    if index == belief.told:
        words.append("told")
    if index < len(belief.names) and belief.vetoed[index]:
        words.append("vetoed")
    if index == belief.committed:
        words.append("the assistant helps with it" if index < len(belief.names) else "the assistant takes no side")
    return ", ".join(words)


def _colour(belief: Belief, index: int) -> tuple[int, int, int]:
    if index == belief.told:
        return TOLD
    if index < len(belief.names) and belief.vetoed[index]:
        return VETOED
    return COMMITTED if index == belief.committed else OPEN
