"""The network for continuous vectors: a residual multilayer perceptron whose outputs are Gaussian mixtures."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.density.conditional import MixtureConditional
from autonomy.density.mixture import MixtureHead
from autonomy.density.network import ResidualMLP, known_inputs
from autonomy.density.networks.base import Network


class MixtureNetwork(Network):
    """A mixture of `components` Gaussians for each dimension, every scale at least `floor` (units of x).

    The trunk has `depth` layers of `width` units. `centred`: see `MixtureHead`. With `members` > 1 so many networks
    answer side by side, and the context has one column more than `context_dim`, its last: the number of the member that
    answers the row. The members share where the component means start; all other weights are their own.
    """

    picks = MixtureConditional.picks()

    def __init__(
        self,
        dim: int,
        context_dim: int,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.02,
        dropout: float = 0.0,
        centred: bool = False,
        members: int = 1,
    ) -> None:
        super().__init__(dim, context_dim + (members > 1), torch.ones(dim, dtype=torch.bool))
        self.head = MixtureHead(dim, components, floor, centred)
        self.trunk = ResidualMLP(2 * dim + self.context_dim, self.head.width, width, depth, dropout, members)

    def all(self, x: Tensor, known: Tensor, context: Tensor) -> MixtureConditional:
        mixtures: MixtureConditional = self.head(self.trunk(known_inputs(x, known, context)))
        return mixtures

    def at(self, x: Tensor, known: Tensor, dims: Tensor, context: Tensor) -> MixtureConditional:
        return self.head.at(self.trunk.part(known_inputs(x, known, context), dims, self.dim), dims)

    def step_bytes(self) -> int:
        layers = self.trunk.entry.in_features + 5 * self.trunk.entry.out_features
        return self.trunk.entry.weight.element_size() * (layers + 8 * self.head.components)
