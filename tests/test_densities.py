"""Every density walks the same path: log_prob, gradients, training, samples, modes, quantiles, saving."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model, save_model

from autonomy.density.base import Density
from tests.densities import BUILDERS, CONDITIONAL, CONTEXT, DIM, ROWS, batch, build, rows
from tests.laws import generator

EXACT = sorted(set(CONDITIONAL) - {"ace"})  # whose conditionals are distributions to the last digit


@pytest.fixture(scope="module", params=CONDITIONAL)
def density(request: pytest.FixtureRequest) -> Density:
    return build(request.param)


@pytest.fixture(scope="module", params=EXACT)
def exact(request: pytest.FixtureRequest) -> Density:
    return build(request.param)


def test_every_row_has_its_own_masks(density: Density) -> None:
    together = density.log_prob(*batch())
    assert together.shape == (ROWS,)
    assert torch.isfinite(together).all()
    alone = [density.log_prob(*(part[row : row + 1] for part in batch())) for row in range(ROWS)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_a_conditional_over_everything_left_is_a_chain_of_single_ones(density: Density) -> None:
    """Where the path is the evidence first, and for closed forms: log p(x_q | x_e) is the sum over any split of it."""
    x, _, context = rows()
    evidence = torch.zeros(ROWS, DIM, dtype=torch.bool)
    ranks = torch.arange(DIM).expand(ROWS, -1)
    total, known = torch.zeros(ROWS).double(), evidence
    for dim in range(DIM):
        asked = torch.nn.functional.one_hot(torch.full((ROWS,), dim), DIM).bool()
        total = total + density.log_prob(x, asked, known, context, ranks)
        known = known | asked
    torch.testing.assert_close(density.log_prob(x, ~evidence, evidence, context, ranks), total)


def test_chunks_do_not_change_the_answer(density: Density, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = density.log_prob(*batch())
    monkeypatch.setattr("autonomy.density.autoregressive.MEMORY", 1)
    monkeypatch.setattr("autonomy.density.gaussian.CHUNK", 1)
    torch.testing.assert_close(density.log_prob(*batch()), whole)


@pytest.mark.parametrize("garbage", [17.0, math.nan, math.inf])
def test_values_that_are_not_asked_for_are_never_read(density: Density, garbage: float) -> None:
    x, query, evidence, context = batch()
    spoilt = torch.where(query | evidence, x, garbage)
    assert torch.equal(
        density.log_prob(spoilt, query, evidence, context), density.log_prob(x, query, evidence, context)
    )
    spoilt = torch.where(evidence, x, garbage)
    for pick in ("mean", "mode", "sample"):
        got, right = (density.complete(values, evidence, context, pick, generator()) for values in (spoilt, x))
        assert torch.equal(got, right)


def test_what_is_given_is_read(density: Density) -> None:
    x, query, evidence, context = batch()
    given = evidence.any(1)
    value = density.log_prob(x, query, evidence, context)
    assert ((density.log_prob(x + evidence, query, evidence, context) - value).abs() > 1e-6)[given].all()
    assert ((density.log_prob(x, query, evidence, context + 1) - value).abs() > 1e-6).all()


def test_evidence_comes_back_as_it_was(density: Density) -> None:
    x, evidence, context = rows()
    before = [part.clone() for part in (x, evidence, context)]
    answers = [density.mean(x, evidence, context), density.mode(x, evidence, context)]
    answers += [density.best_of_n(x, evidence, context, 3, generator()), density.quantile(0.3, x, evidence, context)]
    answers += list(density.sample(x, evidence, context, 2, generator()))
    for answer in answers:
        assert torch.equal(answer[evidence], x[evidence])
        assert torch.isfinite(answer).all()
        assert (answer[~evidence] != x[~evidence]).all()
    for now, then in zip((x, evidence, context), before, strict=True):
        assert torch.equal(now, then)


def test_rows_of_all_sizes_are_completed_as_if_alone(density: Density) -> None:
    x, evidence, context = rows()
    evidence[1] = True
    for pick in ("mean", "mode"):
        together = density.complete(x, evidence, context, pick)
        parts = [tuple(part[row : row + 1] for part in (x, evidence, context)) for row in range(ROWS)]
        alone = torch.cat([density.complete(*part, pick) for part in parts])
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)


def test_samples_repeat_with_the_generator(density: Density) -> None:
    x, evidence, context = rows()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (density.sample(x, evidence, context, 2, generator(seed)) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert (first != other).any(2).double().mean() > 0.8
    assert torch.equal(torch.get_rng_state(), before)


def test_best_of_n_has_the_highest_joint_density(density: Density) -> None:
    x, evidence, context = rows()
    drawn = density.sample(x, evidence, context, 8, generator(5))
    scores = torch.stack([density.log_prob(candidate, ~evidence, evidence, context) for candidate in drawn])
    best = density.best_of_n(x, evidence, context, 8, generator(5))
    assert torch.equal(best, drawn[scores.argmax(0), torch.arange(ROWS)])
    assert len(set(scores.argmax(0).tolist())) > 2


def test_entropy_is_the_mean_of_the_samples_log_densities(density: Density) -> None:
    x, evidence, context = rows()
    evidence[1] = True
    drawn = density.sample(x, evidence, context, 6, generator(5))
    left = ~evidence.all(1)
    assert density.protocol is not None
    parts = [part[left] for part in (~evidence, evidence, context, density.protocol.ranks.expand(ROWS, -1))]
    expected = -torch.stack([density.log_prob(candidate[left], *parts) for candidate in drawn]).mean(0)
    entropy = density.entropy(x, evidence, context, 6, generator(5))
    torch.testing.assert_close(entropy[left], expected)
    assert entropy[1] == 0


def test_quantiles_invert_the_distribution_function(exact: Density) -> None:
    x, evidence, context = rows()
    levels = 0.01 + 0.98 * torch.rand(ROWS, DIM, generator=generator(6)).double()
    for level in (0.2, levels):
        values = exact.quantile(level, x, evidence, context)
        got = exact.cdf(values, evidence, context)
        torch.testing.assert_close(got, torch.where(evidence, 1.0, torch.as_tensor(level).double()), atol=1e-7, rtol=0)


def test_the_distribution_function_is_that_of_each_dimension_by_itself(exact: Density) -> None:
    """Its derivative is the density of the single query."""
    x, evidence, context = rows()
    step = 1e-5
    for dim in range(DIM):
        asked = torch.nn.functional.one_hot(torch.full((ROWS,), dim), DIM).bool() & ~evidence
        free = asked.any(1)
        slope = (exact.cdf(x + step * asked, evidence, context) - exact.cdf(x - step * asked, evidence, context)) / (
            2 * step
        )
        parts = [part[free] for part in (x, asked, evidence, context)]
        ranks = torch.arange(DIM).expand(int(free.sum()), -1)
        torch.testing.assert_close(slope[free, dim], exact.log_prob(*parts, ranks).exp(), atol=1e-6, rtol=1e-4)


def test_the_sequential_mode_is_where_each_density_peaks(exact: Density) -> None:
    x, evidence, context = rows()
    assert exact.protocol is not None
    mode, order = exact.mode(x, evidence, context), exact.protocol.ranks
    path = (DIM * ~evidence + order).argsort(1).argsort(1)
    for place in range(DIM):
        asked, known = (path == place) & ~evidence, (path < place) | evidence
        free = asked.any(1)
        parts = [part[free] for part in (asked, known, context, path)]
        top, left, right = (exact.log_prob(mode[free] + shift * parts[0], *parts) for shift in (0.0, -1e-3, 1e-3))
        assert (top >= torch.maximum(left, right) - 1e-9).all()


@pytest.mark.parametrize("name", BUILDERS)
def test_gradients_reach_every_weight_and_training_lowers_the_loss(name: str) -> None:
    density, drawing = build(name, 0.1).float().train(), generator(8)
    if not list(density.parameters()):
        pytest.skip("fitted in closed form, not trained")
    noise, context = torch.randn(512, DIM, generator=drawing), torch.randn(512, CONTEXT, generator=drawing)
    x = context[:, :1] + 0.3 * noise @ torch.tensor([[1.0, 0.8, 0, 0], [0, 0.6, 0, 0], [0, 0, 1, -0.9], [0, 0, 0, 0.5]])
    optimiser = torch.optim.Adam(density.parameters(), 1e-2)
    touched: set[str] = set()
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = density.loss(x, context, drawing)
        loss.backward()
        touched |= {key for key, weight in density.named_parameters() if weight.grad is not None and weight.grad.any()}
        optimiser.step()
        losses.append(loss.item())
    assert touched == {key for key, _ in density.named_parameters()}
    assert sum(losses[-10:]) / 10 < sum(losses[:5]) / 5 - 0.1


@pytest.mark.parametrize("name", BUILDERS)
def test_the_loss_repeats_with_the_generator(name: str) -> None:
    density, (x, _, context) = build(name), rows()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    losses = [density.loss(x, context, generator(seed)).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1]
    assert (losses[1] != losses[2]) == bool(list(density.parameters()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_saved_density_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    density, (x, evidence, context) = build(name), rows()
    everything = torch.ones_like(evidence)
    save_model(density, str(tmp_path / "density.safetensors"))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        fresh = BUILDERS[name]().double().eval()
    if list(density.parameters()):
        assert not torch.equal(
            fresh.log_prob(x, everything, ~everything, context), density.log_prob(x, everything, ~everything, context)
        )
    load_model(fresh, str(tmp_path / "density.safetensors"))
    assert torch.equal(
        fresh.log_prob(x, everything, ~everything, context), density.log_prob(x, everything, ~everything, context)
    )


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("far", [50.0, 1e4])
def test_single_precision_stays_finite_far_out_and_at_the_edges(name: str, far: float) -> None:
    density = build(name).float()
    x, evidence, context = (part.float() if part.is_floating_point() else part for part in rows())
    evidence = torch.zeros_like(evidence) if density.joint_only else evidence
    for values in (far * x, torch.ones_like(x), -torch.ones_like(x), torch.zeros_like(x)):
        assert torch.isfinite(density.log_prob(values, ~evidence, evidence, context)).all()
        if not density.joint_only:
            assert torch.isfinite(density.mode(values, evidence, context)).all()
            assert torch.isfinite(density.cdf(values, evidence, context)).all()
