"""A neural spline flow (Durkan et al., NeurIPS 2019), by zuko: the joint, and nothing but the joint."""

from __future__ import annotations

import torch
import zuko
from torch import Tensor

from autonomy.density.base import Density
from autonomy.types import UserError


class Flow(Density):
    """p(x | c) without marginals or conditionals: the query must be everything and the evidence empty.

    Noise of deviation `floor` on the training values stands for the floor of the mixtures, whose densities, too, are
    smoothed by at least that much. Raises `UserError` for any other query.
    """

    joint_only = True
    picks = ("sample",)

    def __init__(
        self, dim: int, context_dim: int = 0, width: int = 512, depth: int = 4, floor: float = 0.02, transforms: int = 3
    ) -> None:
        super().__init__(dim, context_dim)
        if floor < 0:
            raise UserError(f"floor must be at least 0, got {floor}")
        self.floor = floor
        self.flow = zuko.flows.NSF(dim, context_dim, transforms=transforms, hidden_features=[width] * depth)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=generator.device).to(x)
        loss: Tensor = -self._law(context).log_prob(x + self.floor * noise).mean() / self.dim
        return loss

    def _law(self, context: Tensor) -> zuko.distributions.NormalizingFlow:
        return self.flow(context if self.context_dim else None)

    def _log_prob(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, ranks: Tensor | None = None
    ) -> Tensor:
        _joint_only(evidence.any() or not query.all())
        log_prob: Tensor = self._law(context).log_prob(x)
        return log_prob

    @torch.no_grad()
    def _complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None
    ) -> Tensor:
        _joint_only(evidence.any())
        if pick != "sample":
            raise UserError(f"unknown pick {pick!r}; the valid one of a flow is sample")
        device = generator.device if generator else x.device
        noise = torch.randn(x.shape, generator=generator, device=device).to(x)
        drawn: Tensor = self._law(context).transform.inv(noise)
        return drawn


def _joint_only(asked_for_more: Tensor | bool) -> None:
    if asked_for_more:
        raise UserError("a flow knows the joint density only; ask for all dimensions and give none")
