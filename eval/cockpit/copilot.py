"""The assistant in a session: what it is asked, what it remembers, and what it was told."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, Assistant
from envs.shared_control import Observation
from eval.cockpit.wishes import Belief, Wishes

REFUSED = "the assistant gave no finite action: its dimensions hold still"


class Suggestion(NamedTuple):
    """`action` (D,), as the assistant gave it, zeros when it was refused, and then `problem` says so.

    `before` and `after`: what the assistant remembered; `belief`: what it believes now, None for an assistant without
    intents.
    """

    action: Array
    problem: str
    before: Any
    after: Any
    belief: Belief | None


class Copilot:
    """An assistant that helps in one episode. It is up to the session to keep the memory (`remember`)."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant, self.wishes = assistant, Wishes(getattr(assistant, "intents", ()))
        self._memory: Any = None
        self._start = True

    def reset(self) -> None:
        """A new episode begins: nothing is remembered, nothing is told or vetoed."""
        self._memory, self._start = None, True
        self.wishes.clear()

    def remember(self, suggestion: Suggestion) -> None:
        """The step of `suggestion` was taken."""
        self._memory, self._start = suggestion.after, False

    def suggest(self, held: Observation, alone: bool) -> Suggestion:
        """The action when `SharedControl` shows `held` of one environment; with `alone` all of it is its own.

        Then an assistant with a belief is asked twice: what the operator does is evidence, and the action is for the
        task that the assistant commits to.
        """
        wishes, free = self.wishes.observed(), dict(held)
        free |= {key: np.zeros_like(held[key]) for key in ("operator_action", "operator_mask")}
        action, after = self._ask({**(held if self.wishes.names or not alone else free), **wishes})
        belief = Belief.of(self.assistant, after, self.wishes)
        if alone and belief is not None:
            action, _ = self._ask({**free, **wishes, "intent": np.array([belief.told_as])})
        command = held["operator_action"]
        if action.shape != command.shape or not np.isfinite(action).all():
            return Suggestion(np.zeros_like(command[0]), REFUSED, self._memory, after, belief)
        return Suggestion(action[0], "", self._memory, after, belief)

    def _ask(self, seen: Observation) -> tuple[NDArray[Any], Any]:
        return self.assistant.predict(seen, self._memory, np.array([self._start]), deterministic=True)
