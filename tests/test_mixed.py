"""Vectors that hold a category and numbers: exact laws, networks, training, samplers, coverage, ranks."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.distributions import MultivariateNormal

from autonomy.density.coverage import coverage
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, FixedMasks
from autonomy.density.networks.mixed import MixedNetwork
from autonomy.density.protocols import AnyOrderProtocol, CompletionProtocol, DecompositionProtocol, MarginalProtocol
from autonomy.density.standardised import Standardised
from autonomy.types import UserError
from tests.laws import ALARM, generator, p_value_of
from tests.mixed import CATEGORIES, COVARIANCES, KINDS, MEANS, WEIGHTS, LabelledGaussians, draw, exact, network

torch.set_num_threads(1)
DIM = len(CATEGORIES)
QUERIES = [
    ([d for d in range(DIM) if roles[d] == 1], [d for d in range(DIM) if roles[d] == 2])
    for roles in product((0, 1, 2), repeat=DIM)
    if 1 in roles
]
PROTOCOLS: dict[str, DecompositionProtocol] = {
    "completion": CompletionProtocol(CardinalityMasks(DIM)),
    "marginal": MarginalProtocol(CardinalityMasks(DIM, 1), weighting="cardinality"),
    "any-order": AnyOrderProtocol(DIM),
}


def masks_of(asked: list[int], given: list[int], n: int) -> tuple[Tensor, Tensor]:
    query, evidence = torch.zeros(2, n, DIM, dtype=torch.bool)
    query[:, asked], evidence[:, given] = True, True
    return query, evidence


@pytest.mark.parametrize("value", [0.5, -1.0, 3.0])
def test_evidence_that_is_no_category_is_refused_in_one_sentence(value: float) -> None:
    model = MAC(network(CATEGORIES, 0), PROTOCOLS["completion"])
    x = draw(4, 1).double()
    x[2, 0] = value
    query, evidence = masks_of([1], [0], 4)
    sentence = f"x is {value:g} in row 2, dimension 0, whose categories are 0 to 2"
    for density in (model, Standardised(model, torch.zeros(DIM), torch.ones(DIM))):
        with pytest.raises(UserError, match=sentence):
            density.log_prob(x, query, evidence)
    assert torch.isfinite(model.log_prob(x, query, evidence & False)).all()  # it is not read


def test_the_regression_and_the_noise_leave_categories_alone() -> None:
    x, context = draw(64, 1).double(), torch.zeros(64, 0).double()
    only = CompletionProtocol(FixedMasks([[1, 2, 3]], DIM))  # the category is what is missing
    losses = [MAC(network(CATEGORIES, 0), only, regression=weight).loss(x, context, generator()) for weight in (0, 9)]
    assert losses[0] == losses[1]
    for categories, same in (([KINDS, 0], True), ([0, 0], False)):
        given = CompletionProtocol(FixedMasks([[0]], 2))
        models = [MAC(network(categories, 0), given, evidence_noise=noise) for noise in (0.0, 5.0)]
        quiet, noisy = (model.loss(x[:, :2], context, generator()).item() for model in models)
        assert (quiet == noisy) == same


@pytest.mark.parametrize(("asked", "given"), QUERIES, ids=str)
def test_the_exact_law_has_every_marginal_and_conditional(asked: list[int], given: list[int]) -> None:
    x = draw(40, 3).double()
    got = LabelledGaussians().log_prob(x, *masks_of(asked, given, 40))
    torch.testing.assert_close(got, exact(x, asked, given), atol=1e-8, rtol=1e-8)


@pytest.fixture(scope="module", params=PROTOCOLS)
def trained(request: pytest.FixtureRequest) -> MAC:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MAC(MixedNetwork(CATEGORIES, 0, width=48, depth=2, components=3), PROTOCOLS[request.param], edge=0.0)
    optimiser, drawing = torch.optim.Adam(model.parameters(), 5e-3), generator(11)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 500)
    for step in range(500):
        optimiser.zero_grad()
        x = draw(512, 100 + step)
        model.loss(x, x[:, :0], drawing).backward()
        optimiser.step()
        decay.step()
    return model.eval()


def test_a_trained_network_is_near_every_marginal_and_conditional(trained: MAC) -> None:
    """KL(truth || model) of each query, by samples of the truth."""
    x = draw(4000, 13)
    for asked, given in QUERIES:
        with torch.no_grad():
            gap = (exact(x, asked, given) - trained.log_prob(x, *masks_of(asked, given, len(x)))).mean().item()
        assert -0.04 < gap < 0.08, (asked, given)  # a quotient of marginals need not be normalised, so it can be below


def frequencies(drawn: Tensor) -> Tensor:
    assert torch.equal(drawn, drawn.round())
    return torch.bincount(drawn.long(), minlength=KINDS)


@pytest.mark.parametrize("given", [[], [2], [1, 3]], ids=str)
def test_samples_have_the_law(given: list[int]) -> None:
    """Categories by their exact frequencies, numbers by Rosenblatt's transform along the path."""
    law, x, n = LabelledGaussians(), draw(1, 5).double(), 4000
    _, evidence = masks_of([], given, 1)
    drawn = law.sample(x, evidence, None, n, generator(6))[:, 0]
    rows = x.repeat(KINDS, 1)
    rows[:, 0] = torch.arange(KINDS)
    expected = exact(rows, [0], given).exp()
    assert p_value_of(frequencies(drawn[:, 0]), expected) > ALARM
    assert p_value_of(frequencies(drawn[:, 0]), expected.roll(1)) < ALARM
    known = evidence.repeat(n, 1)
    for dim in [d for d in range(1, DIM) if d not in given]:
        known[:, 0] = True
        levels = law.cdf(drawn, known)[:, dim]
        assert kstest(levels.numpy(), "uniform").pvalue > 1e-3
        known[:, dim] = True
    assert torch.equal(drawn[:, given], x[:, given].expand(n, -1))


@pytest.mark.parametrize("pick", ["mean", "mode", "component", "density", "sample"])
def test_completions_hold_categories_whatever_is_picked(pick: str) -> None:
    model = MAC(network(CATEGORIES, 0), PROTOCOLS["completion"])
    x = draw(200, 8).double()
    evidence = CardinalityMasks(DIM).sample(200, generator(1))
    filled = model.complete(x, evidence, None, pick, generator(2))
    assert set(filled[:, 0].tolist()) <= {0.0, 1.0, 2.0}
    assert torch.equal(filled[evidence], x[evidence])
    everything = torch.ones_like(evidence)
    assert torch.isfinite(model.log_prob(filled, everything, ~everything)).all()


def test_quantiles_and_distribution_functions_agree() -> None:
    law, x = LabelledGaussians(), draw(60, 9).double()
    evidence = CardinalityMasks(DIM, 0, DIM - 1).sample(60, generator(1))
    found = law.quantile(0.4, x, evidence)
    levels = law.cdf(found, evidence)
    numeric, missing = torch.tensor([not count for count in CATEGORIES]), ~evidence
    torch.testing.assert_close(levels[missing & numeric], torch.full_like(levels, 0.4)[missing & numeric])
    assert (levels >= 0.4 - 1e-12)[missing].all()
    assert torch.equal(found[:, 0], found[:, 0].round())


@pytest.mark.parametrize(("asked", "given"), [([0, 1, 2, 3], []), ([1, 2], [3]), ([0, 2], [1])], ids=str)
def test_ranks_of_the_law_s_own_draws_are_uniform(asked: list[int], given: list[int]) -> None:
    law, n = LabelledGaussians(), 600
    x = draw(n, 12).double()
    ranks = law.highest_density_rank(x, *masks_of(asked, given, n), None, 19, generator(3))
    counts = torch.bincount((20 * ranks).round().long() - 1, minlength=20)
    assert p_value_of(counts, torch.ones(20)) > ALARM
    worse = torch.cat([x[:, :1], x[:, 1:] + 1.0], 1)
    skewed = law.highest_density_rank(worse, *masks_of(asked, given, n), None, 19, generator(3))
    assert p_value_of(torch.bincount((20 * skewed).round().long() - 1, minlength=20), torch.ones(20)) < ALARM


def test_ranks_of_a_category_alone_are_never_too_small() -> None:
    """Ties count as no better, so that a share of at most a is called improbable at a."""
    law, n = LabelledGaussians(), 4000
    ranks = law.highest_density_rank(draw(n, 12).double(), *masks_of([0], [], n), None, 19, generator(3))
    for level in (0.05, 0.2, 0.5):
        assert (ranks <= level).double().mean() < level + 0.02


def test_steps_on_a_category_are_covered_where_it_was_missing_in_training() -> None:
    """Nodes {1, 2}, {0, 1, 2}, {3}, {0, 3}, {0, 1, 3} are asked about; at two of them the category is missing."""
    asked = CompletionProtocol(FixedMasks([[1, 2], [3]], DIM))
    assert coverage(PROTOCOLS["completion"], asked).untrained == 0
    always_known = coverage(CompletionProtocol(FixedMasks([[0, 1], [0, 3]], DIM)), asked)
    assert always_known.untrained == pytest.approx(2 / 5)
    assert sorted(node for node, _ in always_known.nodes) == [(1, 2), (3,)]
    model, (query, evidence) = MAC(network(CATEGORIES, 0), PROTOCOLS["completion"]), masks_of([0, 1], [3], 1)
    passes: list[int] = []
    model.network.trunk.entry.register_forward_pre_hook(lambda _, given: passes.append(len(given[0])))
    assert torch.isfinite(model.log_prob(draw(1, 1).double(), query, evidence)).all()
    assert passes == [2]  # both steps in one pass


def test_the_entropy_of_a_mixed_vector_is_that_of_the_law() -> None:
    """H(z, x) = H(z) + sum_k w_k H(x | z = k), against the Monte Carlo estimate."""
    law, x = LabelledGaussians(), draw(1, 1).double()
    normals = MultivariateNormal(MEANS, COVARIANCES).entropy()
    expected = -(WEIGHTS * WEIGHTS.log()).sum() + (WEIGHTS * normals).sum()
    got = law.entropy(x, torch.zeros(1, DIM, dtype=torch.bool), None, 20_000, generator(1))
    assert got.item() == pytest.approx(expected.item(), abs=0.04)
