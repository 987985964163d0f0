"""What an assistant's density says of the dimensions that it fills in, given those that are held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autonomy.assistants.density import DensityAssistant
from autonomy.intent.assistant import IntentAssistant

NEGLIGIBLE = 1e-3
"""Intents that are less probable than this are left out."""
ROWS = 2048
"""Rows a pass."""


class _Asked(NamedTuple):
    """R questions to a policy: what it reads, and which of N rows each is for, with which intent and weight, (R,)."""

    policy: DensityAssistant
    inputs: Tensor
    rows: Tensor
    intents: Tensor
    weights: Tensor

    def answers(self, law: Callable[..., Tensor], actions: Tensor, mask: Tensor) -> Tensor:
        """`law(density, context, x, held)` of all rows, in lots."""
        context = self.policy.normaliser(self.inputs)
        lots = zip(*(part.split(ROWS) for part in (context, actions[self.rows], mask[self.rows])), strict=True)
        return torch.cat([law(self.policy.density, *lot) for lot in lots]).double()


def _asked(assistant: Any, states: Tensor, belief: Tensor | None) -> _Asked | None:
    """Every row with each of its likely intents; None for an assistant without a density."""
    policy = assistant.policy if isinstance(assistant, IntentAssistant) else assistant
    if not isinstance(policy, DensityAssistant):
        return None
    if not isinstance(assistant, IntentAssistant) or belief is None:
        every = torch.arange(len(states))
        return _Asked(policy, states, every, torch.zeros_like(every), torch.ones(len(states)))
    likely = torch.where(belief > NEGLIGIBLE, belief, 0.0)
    rows, intents = likely.nonzero(as_tuple=True)
    weights = (likely / likely.sum(1, keepdim=True))[rows, intents]
    return _Asked(policy, assistant.inputs(states[rows], intents), rows, intents, weights)


@torch.no_grad()
def filled_log_prob(
    assistant: Any, states: Tensor, actions: Tensor, mask: Tensor, belief: Tensor | None
) -> Tensor | None:
    """log p(a_filled | a_held, s) in nats, (N,), of actions (N, D) whose `mask` (N, D) is held; None: no density.

    With `belief` (N, K + 1), as `predict` returns it, the intents are marginalised out: log of the sum over z of b(z)
    p(a_filled | a_held, s, z).
    """
    asked = _asked(assistant, states, belief)
    if asked is None:
        return None
    found = asked.answers(lambda density, c, x, held: density.log_prob(x, ~held, held, c), actions, mask)
    table = found.new_full((len(states), int(asked.intents.max()) + 1), -torch.inf)
    table[asked.rows, asked.intents] = found + asked.weights.log()
    return table.logsumexp(1)


@torch.no_grad()
def filled_cdf(assistant: Any, states: Tensor, actions: Tensor, mask: Tensor, belief: Tensor | None) -> Tensor | None:
    """P(A_i <= a_i | a_held, s) of each filled dimension i by itself, (N, D), 1 where it is held; None: no density.

    Uniform over what demonstrators did where the assistant is calibrated. `belief`: see `filled_log_prob`.
    """
    asked = _asked(assistant, states, belief)
    if asked is None:
        return None
    found = asked.answers(lambda density, c, x, held: density.cdf(x, held, c), actions, mask)
    return found.new_zeros(actions.shape).index_add(0, asked.rows, found * asked.weights[:, None])
