"""A density of standardised values, in the data's own units."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.density.base import Density
from autonomy.types import UserError


class Standardised(Density):
    """x = mean + scale * z, dimension by dimension, with `density` for z.

    log p(x_q | x_e, c) = log p_z(z_q | z_e, c) - sum of log scale_i over q: the log-Jacobian makes it nats in the units
    of x. `mean` and `scale` (D,) are buffers, so a state dict holds them.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, density: Density, mean: Tensor, scale: Tensor) -> None:
        super().__init__(density.dim, density.context_dim)
        if mean.shape != (self.dim,) or scale.shape != (self.dim,) or not bool((scale > 0).all()):
            raise UserError(f"mean and scale must be ({self.dim},) with scale > 0, got {mean.shape} and {scale.shape}")
        self.density, self.protocol, self.joint_only = density, density.protocol, density.joint_only
        self.picks = density.picks
        self.register_buffer("shift", mean)
        self.register_buffer("scale", scale)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """Of the standardised values."""
        return self.density.loss(self.standard(x), context, generator)

    def standard(self, x: Tensor) -> Tensor:
        """The standardised values z of x (B, D)."""
        return (x - self.shift) / self.scale

    def check_values(self, x: Tensor, read: Tensor) -> None:
        self.density.check_values(self.standard(x), read)

    def _log_prob(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, ranks: Tensor | None = None
    ) -> Tensor:
        return self.density._log_prob(self.standard(x), query, evidence, context, ranks) - self._jacobian(query)

    def _log_prob_of_draw(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        drawn = self.density._log_prob_of_draw(self.standard(x), query, evidence, context, generator)
        return drawn - self._jacobian(query)

    def _jacobian(self, query: Tensor) -> Tensor:
        return torch.where(query, self.scale.log(), 0.0).sum(1)

    def _complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None
    ) -> Tensor:
        filled = self.density._complete(self.standard(x), evidence, context, pick, generator)
        return torch.where(evidence, x, self.shift + self.scale * filled)

    def _cdf(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        return self.density._cdf(self.standard(x), evidence, context)

    def _quantile(self, levels: Tensor, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        return self.shift + self.scale * self.density._quantile(levels, self.standard(x), evidence, context)
