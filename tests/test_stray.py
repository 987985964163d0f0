"""A density that grants strays: its law, the share that it finds, and ranks that are uniform under it."""

from __future__ import annotations

import math

import pytest
import torch

from autonomy.density.gaussian import GaussianMixture
from autonomy.density.stray import Stray

N, D = 4000, 3
QUERY = torch.tensor([True, False, True])


def narrow() -> GaussianMixture:
    """A standard Gaussian, a tenth as wide."""
    return GaussianMixture(torch.ones(1), torch.zeros(1, D), 0.01 * torch.eye(D)[None])


def drawn(share: float) -> torch.Tensor:
    """Rows of it, a `share` of which stray to a deviation of 1."""
    drawing = torch.Generator().manual_seed(0)
    astray = torch.rand(N, 1, generator=drawing) < share
    return torch.randn(N, D, generator=drawing) * torch.where(astray, 1.0, 0.1)


def asked(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return QUERY.repeat(rows, 1), torch.zeros(rows, 0)


def test_without_strays_it_is_the_density() -> None:
    x, (query, context) = drawn(0.0), asked(N)
    own = narrow().log_prob(x, query, torch.zeros_like(query), context)
    assert torch.equal(Stray(narrow()).log_prob(x, query, context), own)


def test_its_marginals_are_those_of_the_mixture() -> None:
    law, x, (query, context) = Stray(narrow()), torch.tensor([[0.5, 9.0, -0.2]]), asked(1)
    law.share.fill_(0.25)
    gaussian = [math.exp(-0.5 * (0.5**2 + 0.2**2) / s**2) / (2 * math.pi * s**2) for s in (0.1, 1.0)]
    assert law.log_prob(x, query, context).item() == pytest.approx(math.log(0.75 * gaussian[0] + 0.25 * gaussian[1]))


def test_the_share_is_found_and_ranks_are_uniform() -> None:
    law, x, (query, context) = Stray(narrow()), drawn(0.2), asked(N)
    spread = torch.randn(N, D, generator=torch.Generator().manual_seed(1))
    law.fit(spread, x, query, context)
    assert law.share.item() == pytest.approx(0.2, abs=0.02)
    rank = law.rank(x[:800], query[:800], context[:800], 19, torch.Generator().manual_seed(2))
    for level in (0.05, 0.25, 0.5):
        assert (rank <= level).double().mean() == pytest.approx(level, abs=0.04)
    surprised = Stray(narrow()).rank(x[:800], query[:800], context[:800], 19, torch.Generator().manual_seed(2))
    assert (surprised <= 0.05).double().mean() > 0.15
