"""The network for vectors that have continuous and categorical dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autonomy.density.categorical import Bernoulli, Categorical, MixedConditional
from autonomy.density.conditional import Conditional, MixtureConditional
from autonomy.density.mixture import MixtureHead
from autonomy.density.network import ResidualMLP
from autonomy.density.networks.base import Network
from autonomy.types import UserError


class MixedNetwork(Network):
    """Gaussian mixtures for the continuous dimensions, categories for the others.

    `categories` says of each dimension how many values it has: 0 for a continuous one, n >= 2 for one whose values are
    the floats 0, 1, ..., n - 1. A known category enters as a one-hot. The other parameters are those of
    `MixtureNetwork`, and without any categories this is the same function. Raises `UserError` for another number.
    """

    picks = MixedConditional.picks()
    counts: Tensor
    slots: Tensor

    def __init__(
        self,
        categories: Sequence[int],
        context_dim: int,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.02,
        dropout: float = 0.0,
        centred: bool = False,
        members: int = 1,
    ) -> None:
        if not categories or any(count < 0 or count == 1 for count in categories):
            wanted = "0 for a continuous dimension or the number of its values, at least 2"
            raise UserError(f"categories must be, for each dimension, {wanted}, got {list(categories)}")
        counts = torch.tensor(list(categories))
        super().__init__(len(counts), context_dim + (members > 1), counts == 0)
        self._kinds = sorted(set(categories))
        numeric = int(self.numeric.sum())
        self.register_buffer("counts", counts, persistent=False)
        slots = [(dim, value) for dim, count in enumerate(categories) for value in range(count)]
        self.register_buffer("slots", torch.tensor(slots, dtype=torch.long).view(-1, 2).T, persistent=False)
        self.head = MixtureHead(numeric, components, floor, centred)
        self._outputs = max(3 * components if numeric else 0, *categories)  # of a dimension; it reads the first ones
        inputs = numeric + len(slots) + self.dim + self.context_dim
        self.trunk = ResidualMLP(inputs, self.dim * self._outputs, width, depth, dropout, members)

    def all(self, x: Tensor, known: Tensor, context: Tensor) -> MixedConditional:
        raw = self.trunk(self._inputs(x, known, context)).view(-1, self._outputs)
        dims = torch.arange(self.dim, device=x.device).repeat(len(x))
        return self._conditional(raw, dims).view(len(x), self.dim)

    def at(self, x: Tensor, known: Tensor, dims: Tensor, context: Tensor) -> MixedConditional:
        return self._conditional(self.trunk.part(self._inputs(x, known, context), dims, self.dim), dims)

    def _inputs(self, x: Tensor, known: Tensor, context: Tensor) -> Tensor:
        """The known numbers, the known categories as one-hots, the mask, the context."""
        dims, values = self.slots
        hot = known[:, dims] & (x[:, dims] == values)
        numbers = torch.where(known, x, 0.0)[:, self.numeric]
        return torch.cat([numbers, hot.to(x.dtype), known.to(x.dtype), context], 1)

    def _conditional(self, raw: Tensor, dims: Tensor) -> MixedConditional:
        """Of outputs (N, `_outputs`) for the dimensions `dims` (N,), each with as many of them as its law reads."""
        counts = self.counts[dims]
        places = [(counts == kind).nonzero().squeeze(1) for kind in self._kinds]
        parts = [self._law(kind, raw[place], dims[place]) for kind, place in zip(self._kinds, places, strict=True)]
        return MixedConditional(parts, places, dims.shape)

    def _law(self, count: int, raw: Tensor, dims: Tensor) -> Conditional:
        if not count:
            rank = self.numeric.cumsum(0) - 1  # of a continuous dimension among those of the head
            mixtures: MixtureConditional = self.head.at(raw[:, : 3 * self.head.components], rank[dims])
            return mixtures
        exact = raw if raw.dtype == torch.float64 else raw.float()  # half precision is too coarse for a logsumexp
        return Bernoulli(exact[:, 0]) if count == 2 else Categorical(exact[:, :count])

    def step_bytes(self) -> int:
        layers = self.trunk.entry.in_features + 5 * self.trunk.entry.out_features
        return self.trunk.entry.weight.element_size() * (layers + 3 * self._outputs)

    def check(self, x: Tensor, read: Tensor) -> None:
        valid = self.numeric | ((x == x.round()) & (x >= 0) & (x < self.counts))
        if bool((read & ~valid).any()):
            row, dim = (read & ~valid).nonzero()[0].tolist()
            given = f"{x[row, dim].item():g} in row {row}, dimension {dim}"
            raise UserError(f"x is {given}, whose categories are 0 to {int(self.counts[dim]) - 1}")
