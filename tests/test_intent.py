"""Ranks of highest density: exact laws, one law for draws and densities, probes in rollouts, and calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest
from torch import Tensor

from autonomy.density.base import Density
from autonomy.density.gaussian import GaussianMixture
from autonomy.density.masks import CardinalityMasks
from tests.densities import BUILDERS, CONDITIONAL, DIM, build, gaussian_mixture, rows, some_of
from tests.laws import generator

torch.set_num_threads(1)


def drawn(density: GaussianMixture, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values and context of the law itself, with queries and evidence of all sizes."""
    joint = density.joint_sample(n, generator(5))
    evidence = CardinalityMasks(DIM, 0, DIM - 1).sample(n, generator(6))
    return joint[:, :DIM], some_of(~evidence), evidence, joint[:, DIM:]


def uniformity(ranks: Tensor, n: int) -> float:
    """Kolmogorov's p-value, the steps of the law filled in with uniform noise."""
    noise = torch.rand(ranks.shape, generator=generator(7), dtype=torch.float64)
    return float(kstest((ranks - noise / (n + 1)).numpy(), "uniform").pvalue)


@pytest.mark.parametrize("components", [1, 3])
def test_ranks_of_a_density_s_own_draws_are_uniform(components: int) -> None:
    density = gaussian_mixture(components)
    x, query, evidence, context = drawn(density, 2000)
    ranks = density.highest_density_rank(x, query, evidence, context, 19, generator(8))
    assert ranks.dtype == torch.float64
    assert uniformity(ranks, 19) > 1e-3
    wider = torch.where(query, 1.5 * x, x)
    assert uniformity(density.highest_density_rank(wider, query, evidence, context, 19, generator(8)), 19) < 1e-6


def mahalanobis(density: GaussianMixture, x: Tensor, asked: Tensor, given: Tensor) -> float:
    """Squared, of x_asked under the conditional by the textbook; `x` (P,) and the masks (P,) with the context."""
    mean, s = density.means[0], density.covariances[0]
    gain = s[asked][:, given] @ torch.linalg.inv(s[given][:, given])
    off = (x - mean)[asked] - gain @ (x - mean)[given]
    return float(off @ torch.linalg.inv(s[asked][:, asked] - gain @ s[given][:, asked]) @ off)


def test_the_rank_under_a_gaussian_is_the_chi_square_tail_of_the_mahalanobis_distance() -> None:
    density, n = gaussian_mixture(1), 4000
    x, query, evidence, context = drawn(density, 25)
    ranks = density.highest_density_rank(x, query, evidence, context, n, generator(9))
    everything, known = torch.cat([x, context], 1), torch.ones_like(context, dtype=torch.bool)
    asked, given = torch.cat([query, ~known], 1), torch.cat([evidence, known], 1)
    tails = [
        chi2.sf(mahalanobis(density, *row), int(row[1].sum())) for row in zip(everything, asked, given, strict=True)
    ]
    assert len({int(size) for size in query.sum(1)}) > 2
    assert min(tails) < 0.2
    assert max(tails) > 0.8
    np.testing.assert_allclose(ranks.numpy(), tails, atol=4 * 0.5 / n**0.5)


def test_the_mode_has_the_highest_rank_and_what_is_far_off_the_lowest() -> None:
    density = gaussian_mixture(1)
    x, query, evidence, context = drawn(density, 30)
    ranks = density.highest_density_rank(torch.where(query, x + 100, x), query, evidence, context, 19, generator())
    assert torch.equal(ranks, torch.full((30,), 1 / 20, dtype=torch.float64))
    nothing = torch.zeros_like(evidence)
    mode = density.mode(x, nothing, context)
    ranks = density.highest_density_rank(mode, ~nothing, nothing, context, 19, generator())
    assert torch.equal(ranks, torch.ones(30).double())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_from_no_evidence_drawing_walks_as_log_prob_does(name: str) -> None:
    density, (x, evidence, context) = build(name), rows()
    nothing = torch.zeros_like(evidence)
    query = ~nothing if density.joint_only else some_of(~nothing)
    along = None if density.protocol is None else density.protocol.ranks.expand(len(x), -1)
    torch.testing.assert_close(
        density.log_prob(x, query, nothing, context), density.log_prob(x, query, nothing, context, along)
    )
    ranks = density.highest_density_rank(x, query, nothing, context, 9, generator())
    assert bool(((ranks > 0) & (ranks <= 1)).all())
    assert torch.equal(ranks, density.highest_density_rank(x, query, nothing, context, 9, generator()))


def tails(density: Density, x: Tensor, query: Tensor, context: Tensor) -> Tensor:
    """P(log p(x') <= log p(x)) for rows x, by quadrature of exp(log_prob) over the two dimensions of the query."""
    points = 201
    side = torch.linspace(-14, 14, points).double()
    grid = torch.zeros(points**2, DIM).double()
    grid[:, query] = torch.cartesian_prod(side, side)
    with torch.no_grad():
        heights, own = (
            density.log_prob(v, query.expand(len(v), -1), torch.zeros_like(v) > 0, context.expand(len(v), -1))
            for v in (grid, x)
        )
    return (heights.exp() * (heights <= own[:, None])).sum(1) * (side[1] - side[0]) ** 2


@pytest.mark.parametrize("name", sorted(set(CONDITIONAL) - {"ace"}))
def test_draws_are_of_the_law_that_log_prob_integrates_to(name: str) -> None:
    """Also for networks whose marginals are not those of their joint: dimensions 1 and 3 by quadrature."""
    density, (x, _, context) = build(name, 0.5), rows(8)
    context, query, n = context[:1], torch.tensor([False, True, False, True]), 4000
    ranks = density.highest_density_rank(
        x, query.expand(8, -1), torch.zeros_like(x) > 0, context.expand(8, -1), n, generator(3)
    )
    torch.testing.assert_close(ranks, tails(density, x, query, context), atol=0.035, rtol=0.0)


def test_the_marginal_of_completions_would_be_another_law() -> None:
    density, (x, evidence, context) = build("mac-completion", 0.5), rows(8)
    query, nothing, n = torch.tensor([False, True, False, True]), torch.zeros_like(evidence), 4000
    context = context[:1].expand(8, -1)
    with torch.no_grad():
        completed = density.sample(x, nothing, context, n, generator(3)).flatten(0, 1)
        many = density.log_prob(completed, query.expand(8 * n, -1), nothing.repeat(n, 1), context.repeat(n, 1))
        own = density.log_prob(x, query.expand(8, -1), nothing, context)
    shares = (many.view(n, 8) <= own).double().mean(0)
    assert (shares - tails(density, x, query, context[:1])).abs().max() > 0.1


@pytest.mark.parametrize("name", ["mac-marginal-ordered", "made", "standardised"])
def test_a_batch_of_mixed_masks_is_each_row_by_itself(name: str) -> None:
    density, (x, evidence, context) = build(name, 0.3), rows(6)
    query = some_of(~evidence)
    assert len({int(size) for size in query.sum(1)}) > 1
    together = density.highest_density_rank(x, query, evidence, context, 3000, generator(1))
    alone = torch.cat(
        [
            density.highest_density_rank(*row, 3000, generator(row_seed))
            for row_seed, row in enumerate(zip(*(p.split(1) for p in (x, query, evidence, context)), strict=True))
        ]
    )
    torch.testing.assert_close(together, alone, atol=4 * 0.5 * (2 / 3000) ** 0.5, rtol=0.0)
