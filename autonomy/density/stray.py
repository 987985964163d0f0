"""A density that grants that now and then something happens which it does not foresee."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from autonomy.density.base import Density

ROUNDS = 100
"""Of expectation maximisation, whose one unknown is a share."""
LEAST = 1e-4
"""The smallest share, and the smallest deviation, in units of x."""


class Stray(nn.Module):
    """q(x | c) = (1 - share) p(x | c) + share * prod over i of N(x_i; mean_i, deviation_i^2), with p as `density`.

    The second part knows nothing of the context, and strays in all dimensions at once: what demonstrators do when they
    slip. So q has marginals and conditionals of one joint law, as p has. p is not a part of this module.
    """

    share: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, density: Density) -> None:
        super().__init__()
        self._density = [density]
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(density.dim))
        self.register_buffer("deviation", torch.ones(density.dim))

    def log_prob(self, x: Tensor, query: Tensor, context: Tensor) -> Tensor:
        """log q(x_query | context) in nats, (B,)."""
        own = self._density[0].log_prob(x, query, torch.zeros_like(query), context)
        return self._mixed(own, x, query)

    def _mixed(self, own: Tensor, x: Tensor, query: Tensor) -> Tensor:
        if not bool(self.share):
            return own
        return torch.logaddexp(own + torch.log1p(-self.share), self._astray(x, query) + self.share.log())

    def _astray(self, x: Tensor, query: Tensor) -> Tensor:
        z = (x - self.mean) / self.deviation
        terms = -0.5 * z.square() - self.deviation.log() - 0.5 * math.log(2 * math.pi)
        return torch.where(query, terms, 0.0).sum(1)

    @torch.no_grad()
    def rank(
        self, x: Tensor, query: Tensor, context: Tensor, n: int = 99, generator: torch.Generator | None = None
    ) -> Tensor:
        """How probable x_query is beside `n` draws of its own law, (B,) float64: `Density.highest_density_rank`."""
        nothing = torch.zeros_like(query)
        if not bool(self.share):
            return self._density[0].highest_density_rank(x, query, nothing, context, n, generator)
        own = self.log_prob(x, query, context)
        draws = self._draws(query, context, n, generator)
        return (1 + (draws <= own).sum(0)).double() / (n + 1)

    @torch.no_grad()
    def plausibility(
        self, x: Tensor, query: Tensor, context: Tensor, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """log q(x_query | context) less its mean over `n` draws of q, in nats, (B,).

        So a context in which anything may happen does not make what happens improbable.
        """
        return self.log_prob(x, query, context) - self._draws(query, context, n, generator).mean(0)

    def _draws(self, query: Tensor, context: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """log q of `n` draws of its own, (n, B)."""
        rows = len(query)
        query, context = query.repeat(n, 1), context.repeat(n, 1)
        empty, nothing = self.mean.new_zeros(query.shape), torch.zeros_like(query)
        drawn = self._density[0].complete(empty, nothing, context, "sample", generator)
        strays = torch.rand(len(query), 1, generator=generator).to(drawn.device) < self.share
        noise = torch.randn(drawn.shape, generator=generator).to(drawn.device)
        drawn = torch.where(strays, self.mean + self.deviation * noise, drawn)
        return self.log_prob(drawn, query, context).view(n, rows)

    @torch.no_grad()
    def fit(self, actions: Tensor, x: Tensor, query: Tensor, context: Tensor) -> None:
        """Mean and deviation of `actions` (M, D); the share by which held-out rows x_query (N, D) are likeliest."""
        self.mean.copy_(actions.mean(0))
        self.deviation.copy_(actions.std(0).clamp_min(LEAST))
        rows = query.any(1)
        x, query, context = x[rows], query[rows], context[rows]
        own = self._density[0].log_prob(x, query, torch.zeros_like(query), context)
        ratio, share = self._astray(x, query) - own, torch.tensor(0.1, device=x.device)
        for _ in range(ROUNDS):
            share = torch.sigmoid(ratio + share.log() - torch.log1p(-share)).mean().clamp(LEAST, 1 - LEAST)
        self.share.copy_(share)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *options: Any) -> None:
        """Weights of version 0.1 know nothing of strays."""
        for name, value in self.named_buffers():
            state_dict.setdefault(prefix + name, value)
        super()._load_from_state_dict(state_dict, prefix, *options)
