"""Densities against formulas: a Gaussian's conditionals, integrals that are 1, and samples against their law."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.distributions import MultivariateNormal

from autonomy.density.base import Density
from autonomy.density.gaussian import GaussianMixture
from autonomy.density.mac import MAC
from autonomy.density.made import MADE
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import AnyOrderProtocol, CompletionProtocol, DecompositionProtocol, MarginalProtocol
from autonomy.density.standardised import Standardised
from tests.densities import CONDITIONAL, CONTEXT, DIM, build, rows
from tests.laws import generator

torch.set_num_threads(1)
ROOT = torch.tensor([[0.5, 0.0, 0.0], [0.4, 0.3, 0.0], [-0.3, 0.2, 0.3]])
SLOPE = torch.tensor([[0.5, 0.0], [0.0, -0.5], [0.3, 0.3]])
COVARIANCE = ROOT @ ROOT.T
QUERIES = [
    (asked, given)
    for roles in product((0, 1, 2), repeat=3)
    if (asked := [d for d in range(3) if roles[d] == 1]) or 1 in roles
    for given in [[d for d in range(3) if roles[d] == 2]]
]


def draw(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """x ~ N(A c, S) for a context c ~ N(0, 1)^2: three dimensions, correlated."""
    drawing = generator(seed)
    context = torch.randn(n, 2, generator=drawing)
    return context @ SLOPE.T + torch.randn(n, 3, generator=drawing) @ ROOT.T, context


def analytic(x: Tensor, context: Tensor, asked: list[int], given: list[int]) -> tuple[MultivariateNormal, Tensor]:
    """p(x_asked | x_given, c) by the textbook, and the log density of x_asked."""
    s, mean = COVARIANCE.to(x), context @ SLOPE.to(x).T
    gain = s[asked][:, given] @ torch.linalg.inv(s[given][:, given])
    law = MultivariateNormal(
        mean[:, asked] + (x - mean)[:, given] @ gain.T, s[asked][:, asked] - gain @ s[given][:, asked]
    )
    return law, law.log_prob(x[:, asked])


def masks_of(asked: list[int], given: list[int], n: int) -> tuple[Tensor, Tensor]:
    query, evidence = torch.zeros(2, n, 3, dtype=torch.bool)
    query[:, asked], evidence[:, given] = True, True
    return query, evidence


def exact() -> GaussianMixture:
    """The law of `draw` itself, over x and the context."""
    joint = torch.cat([torch.cat([COVARIANCE + SLOPE @ SLOPE.T, SLOPE], 1), torch.cat([SLOPE.T, torch.eye(2)], 1)])
    return GaussianMixture(torch.ones(1).double(), torch.zeros(1, 5).double(), joint[None].double(), 2)


def test_there_are_all_queries() -> None:
    assert len(QUERIES) == 3**3 - 2**3


@pytest.mark.parametrize(("asked", "given"), QUERIES, ids=str)
def test_an_exactly_parametrised_gaussian_has_every_marginal_and_conditional(
    asked: list[int], given: list[int]
) -> None:
    x, context = (part.double() for part in draw(50, 3))
    query, evidence = masks_of(asked, given, 50)
    law, log_prob = analytic(x, context, asked, given)
    torch.testing.assert_close(exact().log_prob(x, query, evidence, context), log_prob, atol=1e-5, rtol=1e-5)
    single = law.mean[:, 0] if len(asked) == 1 else None
    if single is not None:
        got = exact().mean(x, evidence, context)[:, asked[0]]
        order = [d for d in range(3) if d not in given]
        if order[0] == asked[0]:
            torch.testing.assert_close(got, single, atol=1e-5, rtol=1e-5)


def trained(build_one: Callable[[], Density], steps: int = 600) -> Density:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_one()
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    decay, drawing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps), generator(11)
    for step in range(steps):
        optimiser.zero_grad()
        model.loss(*draw(512, 100 + step), drawing).backward()
        optimiser.step()
        decay.step()
    return model.eval()


def mac(protocol: DecompositionProtocol) -> Callable[[], Density]:
    return lambda: MAC(MixtureNetwork(3, 2, width=48, depth=2, components=2), protocol, edge=0.0)


MODELS: dict[str, Callable[[], Density]] = {
    "marginal": mac(MarginalProtocol(CardinalityMasks(3, 1), weighting="cardinality")),
    "completion": mac(CompletionProtocol(CardinalityMasks(3))),
    "any-order": mac(AnyOrderProtocol(3)),
    "made": lambda: MADE(3, 2, width=64, depth=2, components=2),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest) -> Density:
    return trained(MODELS[request.param])


def test_a_trained_model_is_near_every_marginal_and_conditional(fitted: Density) -> None:
    """KL(truth || model) of each query, by samples of the truth."""
    x, context = draw(4000, 13)
    for asked, given in QUERIES:
        _, log_prob = analytic(x, context, asked, given)
        query, evidence = masks_of(asked, given, len(x))
        with torch.no_grad():
            gap = (log_prob - fitted.log_prob(x, query, evidence, context)).mean().item()
        assert -0.01 < gap < 0.06, (asked, given)


def test_samples_of_a_trained_model_have_the_conditional_covariance() -> None:
    model = trained(MODELS["completion"])
    x, context = torch.tensor([[0.0, 0.4, 0.0]]), torch.zeros(1, 2)
    drawn = model.sample(x, torch.tensor([[False, True, False]]), context, 8000, generator(15))[:, 0][:, [0, 2]]
    law, _ = analytic(x, context, [0, 2], [1])
    torch.testing.assert_close(drawn.mean(0), law.mean[0], atol=0.06, rtol=0.0)
    torch.testing.assert_close(drawn.T.cov(), law.covariance_matrix[0], atol=0.03, rtol=0.0)


def test_entropy_by_monte_carlo_is_the_formula() -> None:
    x, context = torch.zeros(1, 3).double(), torch.zeros(1, 2).double()
    evidence = torch.tensor([[False, True, False]])
    got = exact().entropy(x, evidence, context, 20_000, generator(1))
    law, _ = analytic(x, context, [0, 2], [1])
    assert got.item() == pytest.approx(law.entropy().item(), abs=0.03)


@pytest.mark.parametrize("name", sorted(set(CONDITIONAL) - {"ace"}))
def test_densities_of_two_dimensions_integrate_to_one(name: str) -> None:
    """The marginal of dimensions 0 and 2, and the same given the others, by quadrature."""
    density, (x, _, context) = build(name, 0.3), rows()
    points = 361
    side = torch.linspace(-14, 14, points).double()
    values = x[:1].repeat(points**2, 1)
    values[:, 0], values[:, 2] = torch.cartesian_prod(side, side).T
    query = torch.tensor([True, False, True, False]).expand(points**2, -1)
    for evidence in (torch.zeros_like(query), ~query):
        if (name == "mac-marginal" and evidence.any()) or (name == "mac-marginal-ordered" and evidence.any()):
            continue  # a quotient of two marginals of an untrained network, which need not be consistent
        with torch.no_grad():
            density_values = density.log_prob(values, query, evidence, context[:1].expand(points**2, -1)).exp()
        integral = torch.trapezoid(torch.trapezoid(density_values.view(points, points), side), side)
        assert integral.item() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("name", sorted(set(CONDITIONAL) - {"ace"}))
def test_samples_pass_kolmogorov_s_test_against_the_distribution_functions(name: str) -> None:
    """Along the path of completion, F(x_i | x before i) of the samples is uniform (Rosenblatt, 1952)."""
    density, (x, _, context) = build(name, 0.3), rows()
    n = 3000
    evidence = torch.tensor([[False, True, False, False]])
    drawn = density.sample(x[:1], evidence, context[:1], n, generator(3))[:, 0]
    assert density.protocol is not None
    order = [d for d in density.protocol.ranks.argsort().tolist() if d != 1]
    known = evidence.repeat(n, 1)
    for dim in order[:1] if name == "made" else order:  # MADE's answer depends on the order of the evidence, too
        levels = density.cdf(drawn, known, context[:1].expand(n, -1))[:, dim]
        assert kstest(levels.detach().numpy(), "uniform").pvalue > 1e-3
        assert kstest(0.9 * levels.detach().numpy(), "uniform").pvalue < 1e-3
        known = known.clone()
        known[:, dim] = True


def test_standardised_values_are_in_the_data_s_units() -> None:
    """z ~ N(0, S) exactly, so x = m + s z ~ N(m, s S s): the Jacobian of the queried dimensions and no others."""
    mean, scale = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.1, 3.0, 7.0]).double()
    inner = GaussianMixture(torch.ones(1).double(), torch.zeros(1, 3).double(), COVARIANCE[None].double())
    density = Standardised(inner, mean, scale)
    law = MultivariateNormal(mean, COVARIANCE.double() * scale[:, None] * scale)
    x = law.sample((40,))
    for asked in ([0], [1, 2], [0, 1, 2]):
        query, evidence = masks_of(asked, [], 40)
        expected = MultivariateNormal(mean[asked], law.covariance_matrix[asked][:, asked]).log_prob(x[:, asked])
        torch.testing.assert_close(density.log_prob(x, query, evidence), expected, atol=1e-6, rtol=1e-6)
    everything, nothing = masks_of([0, 1, 2], [], 1)
    entropy = density.entropy(x[:1], nothing, None, 20_000, generator(1))
    assert entropy.item() == pytest.approx(law.entropy().item(), abs=0.03)
    median = density.quantile(0.5, x[:1], nothing)
    torch.testing.assert_close(median, mean[None], atol=1e-6, rtol=1e-6)
    assert math.isclose(
        density.loss(x, x[:, :0], generator()).item(), inner.loss((x - mean) / scale, x[:, :0], generator()).item()
    )
    assert everything.all()


def test_the_dimensions_of_the_shared_builders() -> None:
    assert (DIM, CONTEXT) == (4, 2)
