"""The belief over intents: a forward filter whose evidence is what the operator does."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonomy.checks import number
from autonomy.types import UserError

STRANGER = 0.5
"""How much of what "none of them" does is anything at all, alike over the whole box of actions."""
NOBODY = 2 / 3
"""The probability of "none of them" above which the assistant acts for none: twice that of all intents together."""
LET_GO = 0.2
"""The share of its probability that an intent hands to the others in each step that it is overdue."""


class BeliefState(NamedTuple):
    """What the assistant remembers of each of B episodes.

    `belief` (B, K + 1): probabilities of the intents, the last one of "none of them". `intent` (B,): the one that the
    assistant has committed to, K for none of them. `since` (B,): steps since it has.
    """

    belief: NDArray[np.float64]
    intent: NDArray[np.int64]
    since: NDArray[np.int64]


class BeliefFilter(nn.Module):
    """b_t(z) proportional to e_t(z)^temper * sum over z' of q(z | z', s_t) b_(t-1)(z').

    e_t(z) = (1 - floor) p(a_held | s_t, z) + floor u(a_held), with the uniform density u over the box of actions; the
    evidence is tempered because the commands of neighbouring steps are not independent. "None of them" does half of
    the time anything at all, so that commands which no intent explains speak for it. q is the learned persistence, but
    with the probability `change` a mind changes, to any intent that is open: one that the persistence would keep. "None
    of them" is as rare a choice there as at the beginning, a share `change` of another's.

    An intent that lasts longer than `patience` (K + 1,), in steps, which no demonstration of it did, is let go little
    by little. `meant` (K + 1,) are the intents that can be at all. `temper`, `floor` and `patience` are buffers, fitted
    to demonstrations by `autonomy.intent.calibration`.
    """

    temper: Tensor
    floor: Tensor
    patience: Tensor
    meant: Tensor

    def __init__(self, meant: list[bool], change: float, hysteresis: float) -> None:
        super().__init__()
        self.change = number("change", change, 0, 1, above=True)
        self.hysteresis = number("hysteresis", hysteresis, 0, 1)
        self.register_buffer("temper", torch.tensor(0.3, dtype=torch.float64))
        self.register_buffer("floor", torch.tensor(0.01, dtype=torch.float64))
        self.register_buffer("patience", torch.full((len(meant) + 1,), math.inf, dtype=torch.float64))
        self.register_buffer("meant", torch.tensor([*meant, True]), persistent=False)

    def first(self, meant: Tensor) -> Tensor:
        """The belief before anything is seen, (B, K + 1): what is `meant` (B, K + 1) is alike, none of them rare."""
        weights = meant.double()
        weights[:, -1] = self.change
        return weights / weights.sum(1, keepdim=True)

    def predicted(self, belief: Tensor, overdue: Tensor, transition: Tensor, meant: Tensor) -> Tensor:
        """The belief (B, K + 1) before the command is seen.

        `overdue` (B,): the intent that has lasted too long, -1 for none; `transition` (B, K + 1, K + 1); `meant`
        (B, K + 1) bool.
        """
        available = transition.diagonal(dim1=1, dim2=2) * self.first(torch.ones_like(meant))
        late = torch.arange(belief.shape[1], device=belief.device) == overdue[:, None]
        open_ = _normalised(available * meant, meant.double())
        moved = (belief[..., None] * transition).sum(1)
        mixed = (1 - self.change) * moved + self.change * open_
        let_go = torch.where(late, LET_GO * mixed, 0.0)
        elsewhere = _normalised(available * (meant & ~late), (meant & ~late).double())
        mixed = mixed - let_go + let_go.sum(1, keepdim=True) * elsewhere
        return _normalised(mixed * meant, open_)

    def updated(self, prior: Tensor, evidence: Tensor, held: Tensor) -> Tensor:
        """The belief (B, K + 1) after commands of `held` (B,) dimensions with log densities `evidence` (B, K + 1)."""
        return weighed(prior, evidence, held, self.temper, self.floor)

    def committed(self, belief: Tensor, intent: Tensor) -> Tensor:
        """The intent (B,) to act on: the one before (-1: there is none), unless another is likelier by `hysteresis`.

        It is none of them, K, where that has more than `NOBODY` of the belief: to help with the likeliest intent in
        vain costs less than to leave an operator who means one without help.
        """
        none = belief.shape[1] - 1
        best, likeliest = belief[:, :none].max(1)
        before = belief.gather(1, intent.clamp(min=0)[:, None]).squeeze(1)
        keep = (intent >= 0) & (intent < none) & (before > 0) & (best <= before + self.hysteresis)
        return torch.where(belief[:, none] > NOBODY, none, torch.where(keep, intent, likeliest))


def weighed(prior: Tensor, evidence: Tensor, held: Tensor, temper: Tensor, floor: Tensor) -> Tensor:
    """`BeliefFilter.updated` with another temper and floor, each a number or (B, 1)."""
    anything = -held.double()[:, None] * math.log(2)
    stranger = torch.arange(prior.shape[1], device=prior.device) == prior.shape[1] - 1
    floors = torch.where(stranger, STRANGER, floor)
    scores = torch.logaddexp((1 - floors).log() + evidence.double(), floors.log() + anything)
    scores = torch.where(prior > 0, scores, -math.inf)
    return _normalised(prior * (temper * (scores - scores.amax(1, keepdim=True))).exp(), prior)


def _normalised(weights: Tensor, otherwise: Tensor) -> Tensor:
    """Rows that sum to 1, those without any weight replaced by `otherwise`, or all alike when that has none either."""
    rows = torch.where(weights.sum(1, keepdim=True) > 0, weights, otherwise)
    rows = torch.where(rows.sum(1, keepdim=True) > 0, rows, 1.0)
    return rows / rows.sum(1, keepdim=True)


def read_memory(state: object, starts: NDArray[np.bool_], first: NDArray[np.float64]) -> BeliefState:
    """The memory of each episode, fresh (`first` (B, K + 1)) where one starts or nothing was remembered.

    Raises `UserError` for a belief of another width or number of rows.
    """
    rows, width = first.shape
    fresh = BeliefState(first, np.full(rows, -1, np.int64), np.zeros(rows, np.int64))
    if state is None:
        return fresh
    if not isinstance(state, BeliefState) or state.belief.shape != (rows, width):
        got = state.belief.shape if isinstance(state, BeliefState) else type(state).__name__
        raise UserError(
            f"the state of predict must be None or the BeliefState that it returned, with a belief of shape "
            f"{(rows, width)}, got {got}"
        )
    return BeliefState(
        np.where(starts[:, None], fresh.belief, state.belief),
        np.where(starts, fresh.intent, state.intent),
        np.where(starts, fresh.since, state.since),
    )
