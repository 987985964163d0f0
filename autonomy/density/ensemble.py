"""Several members of one density, as one density: the mixture of their joint laws."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.checks import whole
from autonomy.density.base import Density
from autonomy.types import UserError

BISECTIONS = 40
"""Halvings of a bracket: enough for every bit of a float32."""


class Ensemble(Density):
    """p(x | c) = 1/E sum over members m of p_m(x | c), each with parameters and training batches of its own.

    log p(x_q | x_e, c) = log sum_m w_m p_m(x_q | x_e, c), where w_m is proportional to p_m(x_e | c): marginals and
    conditionals are those of one joint law. `density` answers for all `members`: with more than one of them its network
    reads, as the last column of the context, which member is asked, and answers all in one batched product.

    A `mean` completion of continuous dimensions is the average of the members' sequential means; a `sample` is that of
    a member drawn by w_m; any other pick is that of the member with the largest w_m. Raises `UserError` when `density`
    was made for another number of members.
    """

    def __init__(self, density: Density, members: int = 1) -> None:
        super().__init__(density.dim, density.context_dim - (whole("members", members, 1) > 1))
        if self.context_dim < 0:
            raise UserError(f"the density was not made for {members} members; give its network members={members}")
        self.density, self.members, self.protocol, self.picks = density, members, density.protocol, density.picks

    @property
    def numeric(self) -> Tensor | None:
        return self.density.numeric

    def check_values(self, x: Tensor, read: Tensor) -> None:
        self.density.check_values(x, read)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """The members' mean loss, each of an equal part of the rows, in turn. Raises `UserError` for too few rows."""
        if len(x) < self.members:
            raise UserError(f"{self.members} members need a batch of as many rows, got {len(x)}")
        return self.density.loss(x, self._asked(context), generator)

    def _asked(self, context: Tensor) -> Tensor:
        """The context (B, C) with the member that answers: each member an equal part of the rows, in turn."""
        if self.members == 1:
            return context
        who = torch.arange(len(context), device=context.device) * self.members // len(context)
        return torch.cat([context, who[:, None].to(context.dtype)], 1)

    def _every(self, context: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        """`parts` (B, D) and the context for each member in turn, (E B, ...)."""
        everyone = self._asked(context.repeat(self.members, 1))
        return (*(part.repeat(self.members, 1) for part in parts), everyone)

    def _weights(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """log w_m, (E, B)."""
        scores = x.new_zeros(self.members, len(x))
        if self.members > 1 and evidence.any():
            values, given, everyone = self._every(context, x, evidence)
            scores = self.density._log_prob(values, given, torch.zeros_like(given), everyone).view(self.members, -1)
        return scores.log_softmax(0)

    def _log_prob(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, ranks: Tensor | None = None
    ) -> Tensor:
        if self.members == 1:
            return self.density._log_prob(x, query, evidence, context, ranks)
        values, asked, given, everyone = self._every(context, x, query, evidence)
        order = None if ranks is None else ranks.repeat(self.members, 1)
        each = self.density._log_prob(values, asked, given, everyone, order).view(self.members, -1)
        return torch.logsumexp(self._weights(x, evidence, context) + each, 0)

    @torch.no_grad()
    def _complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None
    ) -> Tensor:
        if self.members == 1:
            return self.density._complete(x, evidence, context, pick, generator)
        if pick == "mean" and (self.numeric is None or bool(self.numeric.all())):
            values, given, everyone = self._every(context, x, evidence)
            filled = self.density._complete(values, given, everyone, pick, generator).view(self.members, *x.shape)
            return torch.where(evidence, x, filled.mean(0))
        weights = self._weights(x, evidence, context)
        chosen = _drawn(weights, generator) if pick == "sample" else weights.argmax(0)
        asked = torch.cat([context, chosen[:, None].to(context.dtype)], 1)
        return self.density._complete(x, evidence, asked, pick, generator)

    def _log_prob_of_draw(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        if self.members == 1:
            return self.density._log_prob_of_draw(x, query, evidence, context, generator)
        drawn = self._complete(x, evidence, context, "sample", generator)
        return self._log_prob(drawn, query, evidence, context, self._drawn_along(drawn))

    def _cdf(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        values, given, everyone = self._every(context, x, evidence)
        each = self.density._cdf(values, given, everyone).view(self.members, *x.shape)
        return (self._weights(x, evidence, context).exp()[..., None] * each).sum(0)

    def _quantile(self, levels: Tensor, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """By bisection between the members' smallest and greatest quantiles, which enclose it."""
        values, given, everyone = self._every(context, x, evidence)
        asked = levels.repeat(self.members, 1)
        ends = self.density._quantile(asked, values, given, everyone).view(self.members, *x.shape)
        low, high = ends.amin(0), ends.amax(0)
        for _ in range(BISECTIONS if self.members > 1 else 0):
            middle = 0.5 * (low + high)
            below = self._cdf_at(middle, x, evidence, context) < levels
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        middle = 0.5 * (low + high)
        return middle if self.numeric is None else torch.where(self.numeric, middle, high.round())

    def _cdf_at(self, at: Tensor, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        return self._cdf(torch.where(evidence, x, at), evidence, context)


def _drawn(log_weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """A member (B,) for each row by its weight, (E, B)."""
    device = generator.device if generator else log_weights.device
    return torch.multinomial(log_weights.exp().T.to(device), 1, generator=generator).squeeze(1).to(log_weights.device)
