"""The Gaussian-mixture head: raw network outputs -> one-dimensional mixtures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonomy.density.conditional import MixtureConditional
from autonomy.types import UserError


class MixtureHead(nn.Module):
    """(B, D * 3K) -> a batch of D mixtures of K Gaussians a row, scale = floor + softplus(raw).

    The floor (in units of x) bounds the likelihood of nearly deterministic dimensions: compare only at equal floors.
    The component means start spread over [-1, 1]. `centred`: they are shifted together so that the mean of the mixture
    is the average of their raw outputs. It is linear in the last features then, as a regression's output is, also where
    no data are, while otherwise it stays between the components that a softmax weighs.
    """

    def __init__(self, dim: int, components: int, floor: float, centred: bool = False) -> None:
        super().__init__()
        if components < 1 or floor <= 0:
            raise UserError(f"a mixture needs components >= 1 and floor > 0, got {components} and {floor}")
        self.dim, self.components, self.floor, self.centred = dim, components, floor, centred
        self.means = nn.Parameter(torch.linspace(-1, 1, components + 2)[1:-1].repeat(dim, 1))

    @property
    def width(self) -> int:
        """The number of raw outputs the head reads."""
        return 3 * self.dim * self.components

    def forward(self, raw: Tensor) -> MixtureConditional:
        """Raw outputs (B, D * 3K) of all dimensions -> mixtures (B, D)."""
        return self._mixtures(raw.view(-1, self.dim, 3, self.components), self.means)

    def at(self, raw: Tensor, dims: Tensor) -> MixtureConditional:
        """Raw outputs (N, 3K) of the dimensions `dims` (N,) -> mixtures (N,)."""
        return self._mixtures(raw.view(-1, 3, self.components), self.means[dims])

    def _mixtures(self, raw: Tensor, centres: Tensor) -> MixtureConditional:
        exact = raw if raw.dtype == torch.float64 else raw.float()  # half precision is too coarse for a logsumexp
        logits, shifts, scales = exact.unbind(-2)
        means = centres + shifts
        if self.centred:
            mean = (torch.softmax(logits, -1) * means).sum(-1, keepdim=True)
            means = means - mean + shifts.mean(-1, keepdim=True)
        return MixtureConditional(logits, means, self.floor + nn.functional.softplus(scales - 1.0))
