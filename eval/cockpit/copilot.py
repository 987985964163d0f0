"""The assistant in a session: what it is asked, what it remembers, and what it was told."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, Assistant, Mask
from eval.cockpit.wishes import Belief, Wishes

REFUSED = "the assistant gave no finite action: its dimensions hold still"


class Suggestion(NamedTuple):
    """`action` (D,), zeros when it was refused, and then `problem` says so. `before` and `after`: what the assistant
    remembered; `belief`: what it believes now, None for an assistant without intents."""

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

    def suggest(self, state: Array, operator: Array, mask: Mask, alone: bool) -> Suggestion:
        """The action for `state` (S,) given the `operator`'s (D,) on `mask` (D,); with `alone` all of it is its own.

        Then an assistant with a belief is asked twice: what the operator does is evidence, and the action is for the
        task that the assistant commits to.
        """
        wishes, held = self.wishes.observed(), self._seen(state, operator, mask)
        free = self._seen(state, np.zeros_like(operator), np.zeros_like(mask))
        action, after = self._ask({**(held if self.wishes.names or not alone else free), **wishes})
        belief = Belief.of(self.assistant, after, self.wishes)
        if alone and belief is not None:
            action, _ = self._ask({**free, **wishes, "intent": np.array([belief.told_as])})
        if action.shape != (1, len(mask)) or not np.isfinite(action).all():
            return Suggestion(np.zeros(len(mask), np.float32), REFUSED, self._memory, after, belief)
        return Suggestion(np.clip(action[0], -1, 1), "", self._memory, after, belief)

    def _seen(self, state: Array, operator: Array, mask: Mask) -> dict[str, NDArray[Any]]:
        return {
            "state": state[None],
            "operator_action": np.where(mask, operator, np.float32(0))[None],
            "operator_mask": mask[None].astype(np.int8),
        }

    def _ask(self, seen: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], Any]:
        return self.assistant.predict(seen, self._memory, np.array([self._start]), deterministic=True)
