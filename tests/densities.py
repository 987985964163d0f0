"""Shared by the tests of densities: one small density of each kind, its weights random, in double precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autonomy.density.ace import ACE
from autonomy.density.base import Density
from autonomy.density.flow import Flow
from autonomy.density.gaussian import GaussianMixture
from autonomy.density.mac import MAC
from autonomy.density.made import MADE
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import AnyOrderProtocol, CompletionProtocol, DecompositionProtocol, MarginalProtocol
from autonomy.density.standardised import Standardised
from tests.laws import generator

DIM, CONTEXT, ROWS = 4, 2, 24
ORDER = [2, 0, 3, 1]


def mac(protocol: DecompositionProtocol) -> MAC:
    return MAC(MixtureNetwork(protocol.dim, CONTEXT, width=16, depth=2, components=3), protocol)


def gaussian_mixture(components: int = 3, dim: int = DIM, context: int = CONTEXT, seed: int = 3) -> GaussianMixture:
    drawing, size = generator(seed), dim + context
    weights, means = torch.rand(components, generator=drawing) + 0.2, torch.randn(components, size, generator=drawing)
    root = 0.6 * torch.randn(components, size, size, generator=drawing)
    covariances = root @ root.mT + 0.1 * torch.eye(size)
    return GaussianMixture(weights.double(), means.double(), covariances.double(), context)


BUILDERS: dict[str, Callable[[], Density]] = {
    "mac-completion": lambda: mac(CompletionProtocol(CardinalityMasks(DIM))),
    "mac-marginal": lambda: mac(MarginalProtocol(CardinalityMasks(DIM, 1))),
    "mac-marginal-ordered": lambda: mac(MarginalProtocol(CardinalityMasks(DIM, 1), ORDER)),
    "mac-any-order": lambda: mac(AnyOrderProtocol(DIM)),
    "made": lambda: MADE(DIM, CONTEXT, width=24, depth=3, components=3),
    "ace": lambda: ACE(DIM, CONTEXT, width=16, depth=2, components=3, energy_width=8, latent=4, points=64),
    "gaussian": lambda: gaussian_mixture(1),
    "gaussian-mixture": gaussian_mixture,
    "flow": lambda: Flow(DIM, CONTEXT, width=16, depth=2, transforms=2),
    "standardised": lambda: Standardised(
        mac(AnyOrderProtocol(DIM)), torch.linspace(-1, 2, DIM), torch.linspace(0.2, 3, DIM)
    ),
}
CONDITIONAL = sorted(set(BUILDERS) - {"flow"})


def build(name: str, scale: float = 0.4) -> Density:
    """Every weight random, so that every input matters; evaluating, in double precision."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        density = BUILDERS[name]().double()
    drawing = generator(7)
    with torch.no_grad():
        for weight in density.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=drawing))
    return density.eval()


def rows(n: int = ROWS, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Values, evidence of every size but full (the first row's is empty) and context."""
    drawing = generator(seed)
    x, context = torch.randn(n, DIM, generator=drawing).double(), torch.randn(n, CONTEXT, generator=drawing).double()
    evidence = CardinalityMasks(DIM, 0, DIM - 1).sample(n, drawing)
    evidence[0] = False
    return x, evidence, context


def some_of(missing: Tensor, seed: int = 2) -> Tensor:
    """A random subset, not empty, of each row of `missing`."""
    kept = missing & (torch.rand(missing.shape, generator=generator(seed)) < 0.6)
    return torch.where(kept.any(1, keepdim=True), kept, missing)


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, evidence, context = rows()
    return x, some_of(~evidence), evidence, context
