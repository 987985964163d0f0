"""A dimension that changes hands does not jump: its executed value walks to what the new hands want."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from autonomy.checks import number
from autonomy.run_directory import RunDirectory
from autonomy.types import Array, Mask
from envs.arbitration import Arbitration

STEPS = "action_steps"
"""The key in a run's card.json: for each action dimension how far demonstrations step, |a_t - a_(t-1)|, in all but one
of a thousand steps."""
DEFAULT_STEP, LEAST_STEP = 0.35, 0.02
"""Runs whose card lacks the key get the first in every dimension: a sweep of the whole range takes half a second. The
second is for dimensions that demonstrations never move, which would otherwise never be handed over."""


class Handover:
    """Bounds the steps of dimensions that changed hands in mid-episode, by `limits` (D,), until they have caught up.

    All other dimensions pass through bit for bit.
    """

    def __init__(self, limits: Array) -> None:
        self.limits = limits
        self.reset()

    def reset(self) -> None:
        """An episode begins: nothing has moved, so nothing can jump."""
        self._last: Array | None = None
        self._hands: list[Hashable] = []
        self.walking: Mask = np.zeros(len(self.limits), np.bool_)
        """(D,): the dimensions whose last executed value was not yet the wanted one."""

    def follow(self, wanted: Array, hands: Sequence[Hashable], stopped: Mask) -> Array:
        """What to execute (D,) when `hands`, one for each dimension, want `wanted` (D,).

        A dimension whose hands are others than at the last call walks from its last executed value. Those in `stopped`
        (D,) obey at once: a fault must stop what it moved.
        """
        if self._last is None:
            self._last, self._hands = wanted, list(hands)
        changed = np.array([new != old for new, old in zip(hands, self._hands, strict=True)])
        way = wanted - self._last
        self.walking = (self.walking | changed) & ~stopped & (np.abs(way) > self.limits)
        step = np.clip(way, -self.limits, self.limits)
        executed: Array = np.where(self.walking, self._last + step, wanted).astype(np.float32)
        self._last, self._hands = executed.copy(), list(hands)
        return executed


class Smooth(Arbitration):
    """Another arbitration, `inner`, of one environment, whose result a `handover` keeps from jumping.

    `hands`, one for each dimension, and `stopped` (D,) are those of the next step (see `Handover.follow`).
    """

    name = "smooth"

    def __init__(self, inner: Arbitration, handover: Handover) -> None:
        self.inner, self.handover = inner, handover
        self.hands: Sequence[Hashable] = ()
        self.stopped: Mask = np.zeros(len(handover.limits), np.bool_)

    def combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        wanted = self.inner.combine(operator, assistant, mask)
        return self.handover.follow(wanted[0], self.hands, self.stopped)[None]


def action_steps(run: RunDirectory, dim: int) -> Array:
    """The limits (D,) of a run, by what its demonstrations show. Raises `UserError` for a card that is damaged."""
    card = run.read_json(run.card_file) if run.card_file.is_file() else {}
    steps = card.get(STEPS)
    if steps is None:
        return np.full(dim, DEFAULT_STEP, np.float32)
    if not isinstance(steps, list) or len(steps) != dim:
        raise run.broken(run.card_file, f"{STEPS} must hold {dim} numbers")
    return np.array([max(LEAST_STEP, number(STEPS, step, 0)) for step in steps], np.float32)
