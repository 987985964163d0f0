"""A law of a category and three numbers, z and x given z Gaussian, whose every marginal and conditional is known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from autonomy.density.autoregressive import AutoregressiveDensity
from autonomy.density.categorical import Categorical, MixedConditional
from autonomy.density.conditional import MixtureConditional
from autonomy.density.gaussian import GaussianMixture
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.mixed import MixedNetwork
from autonomy.density.protocols import CompletionProtocol
from tests.laws import generator

KINDS, NUMBERS = 3, 3
CATEGORIES = [KINDS, 0, 0, 0]
WEIGHTS = torch.tensor([0.5, 0.3, 0.2]).double()
MEANS = torch.tensor([[-1.0, 0.5, 0.0], [0.8, -0.6, 0.4], [0.6, 1.0, -0.8]]).double()
_ROOTS = 0.4 * torch.randn(KINDS, NUMBERS, NUMBERS, generator=generator(2)).double()
COVARIANCES = _ROOTS @ _ROOTS.mT + 0.1 * torch.eye(NUMBERS).double()


def draw(n: int, seed: int) -> Tensor:
    """Rows (z, x), (n, 4), in single precision."""
    drawing = generator(seed)
    z = torch.multinomial(WEIGHTS, n, replacement=True, generator=drawing)
    noise = torch.randn(n, NUMBERS, generator=drawing).double()
    x = MEANS[z] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(COVARIANCES)[z], noise)
    return torch.cat([z[:, None].double(), x], 1).float()


def marginal(rows: Tensor, members: list[int]) -> Tensor:
    """log p(the members of a row), by the textbook: a sum over the categories that the row allows."""
    numbers, terms = [dim - 1 for dim in members if dim], []
    for kind in range(KINDS):
        allowed = (rows[:, 0] == kind) if 0 in members else torch.ones(len(rows), dtype=torch.bool)
        term = WEIGHTS[kind].log() + torch.where(allowed, 0.0, -math.inf).double()
        if numbers:
            law = MultivariateNormal(MEANS[kind][numbers], COVARIANCES[kind][numbers][:, numbers])
            term = term + law.log_prob(rows[:, 1:][:, numbers].double())
        terms.append(term)
    return torch.logsumexp(torch.stack(terms), 0)


def exact(rows: Tensor, asked: list[int], given: list[int]) -> Tensor:
    """log p(asked | given) of each row, (N,)."""
    return marginal(rows, asked + given) - marginal(rows, given)


class LabelledGaussians(AutoregressiveDensity):
    """The law itself as a density, walked one dimension at a time like any other."""

    def __init__(self) -> None:
        super().__init__(1 + NUMBERS)
        self.protocol = CompletionProtocol(CardinalityMasks(self.dim))
        self.inner = GaussianMixture(WEIGHTS, MEANS, COVARIANCES)

    def step(self, x: Tensor, path: Tensor, dims: Tensor, context: Tensor) -> MixedConditional:
        known = path < path.gather(1, dims[:, None])
        logits, means, scales = self.inner._step(x[:, 1:], known[:, 1:], (dims - 1).clamp(min=0), context)
        possible = ~known[:, :1] | (x[:, :1] == torch.arange(KINDS))
        logits = torch.where(possible, logits, -math.inf)
        label, number = (dims == 0).nonzero().squeeze(1), (dims > 0).nonzero().squeeze(1)
        numbers = MixtureConditional(logits[number], means[number], scales[number])
        return MixedConditional([Categorical(logits[label]), numbers], [label, number], dims.shape)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def _step_bytes(self) -> int:
        return self.inner._step_bytes()


def network(categories: list[int], context: int = 2, **options: Any) -> MixedNetwork:
    """A small one whose weights are all random, in double precision."""
    made = MixedNetwork(categories, context, width=16, depth=2, components=4, **options)
    drawing = generator(7)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=drawing))
    return made.double().eval()
