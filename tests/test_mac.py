"""MAC: the identities of an arbitrary conditional model, and that it learns the conditionals of a known law."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor

from autonomy.channels import FixedChannels
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, ChannelMasks, MaskLaw
from autonomy.density.mixture import PICKS
from autonomy.density.protocols import CompletionProtocol

torch.set_num_threads(1)
DIM, CONTEXT, ROWS = 4, 2, 24
FIXED_PICKS = sorted(set(PICKS) - {"sample"})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(masks: MaskLaw | None = None, **options: Any) -> MAC:
    """A small one whose weights are all random, so that every input matters."""
    masks = masks or CardinalityMasks(DIM)
    model = MAC(masks.dim, CONTEXT, CompletionProtocol(masks), width=16, depth=2, components=3, **options)
    drawing = generator(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=drawing))
    return model.eval()


@pytest.fixture(scope="module")
def model() -> MAC:
    return network()


def rows(dim: int = DIM, n: int = ROWS) -> tuple[Tensor, Tensor, Tensor]:
    """Values, evidence of every size (the first row's empty, the second's full) and context."""
    drawing = generator(1)
    x, context = torch.randn(n, dim, generator=drawing), torch.randn(n, CONTEXT, generator=drawing)
    evidence = CardinalityMasks(dim).sample(n, drawing)
    evidence[0], evidence[1] = False, True
    return x, evidence, context


def held(*dims: int, n: int = ROWS) -> Tensor:
    return torch.isin(torch.arange(DIM), torch.tensor(dims, dtype=torch.long)).expand(n, -1)


def test_the_log_density_is_the_sum_of_the_chain(model: MAC) -> None:
    x, evidence, context = rows()
    query = ~evidence & CardinalityMasks(DIM).sample(ROWS, generator(3))
    got = model.log_prob(x, query, evidence, context)
    for row in range(ROWS):
        known, total = evidence[row : row + 1].clone(), 0.0
        for dim in query[row].nonzero().flatten().tolist():
            conditional = model.conditionals(x[row : row + 1], known, context[row : row + 1])
            total += conditional.log_prob(x[row : row + 1])[0, dim].item()
            known[0, dim] = True
        assert got[row].item() == pytest.approx(total, abs=1e-4)
    assert query.sum() > ROWS / 2


@pytest.mark.parametrize(("evidence", "query"), [((0,), (1, 2, 3)), ((0, 1), (2, 3)), ((0, 2), (3,)), ((), (0, 1, 3))])
def test_conditionals_are_joint_less_marginal_where_the_paths_agree(
    model: MAC, evidence: tuple[int, ...], query: tuple[int, ...]
) -> None:
    x, _, context = rows()
    given, asked, nothing = held(*evidence), held(*query), held()
    joint, marginal = (model.log_prob(x, subset, nothing, context) for subset in (given | asked, given))
    torch.testing.assert_close(model.log_prob(x, asked, given, context), joint - marginal, atol=1e-4, rtol=1e-4)


def test_an_empty_query_has_probability_one(model: MAC) -> None:
    x, evidence, context = rows()
    assert torch.equal(model.log_prob(x, held(), evidence, context), torch.zeros(ROWS))


def test_every_row_has_its_own_masks(model: MAC) -> None:
    x, evidence, context = rows()
    query = ~evidence & CardinalityMasks(DIM).sample(ROWS, generator(3))
    together = model.log_prob(x, query, evidence, context)
    alone = [model.log_prob(x[i, None], query[i, None], evidence[i, None], context[i, None]) for i in range(ROWS)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pick", FIXED_PICKS)
def test_rows_are_completed_as_if_alone(model: MAC, pick: str) -> None:
    x, evidence, context = rows()
    together = model.complete(x, evidence, context, pick)
    alone = [model.complete(x[i, None], evidence[i, None], context[i, None], pick) for i in range(ROWS)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pick", FIXED_PICKS)
def test_completion_walks_the_missing_dimensions_in_ascending_order(model: MAC, pick: str) -> None:
    x, _, context = rows()
    filled, known = x.clone(), held(2).clone()
    for dim in (0, 1, 3):
        filled[:, dim] = PICKS[pick](model.conditionals(filled, known, context), None)[:, dim].detach()
        known[:, dim] = True
    torch.testing.assert_close(model.complete(x, held(2), context, pick), filled, atol=1e-5, rtol=1e-5)


def test_the_mode_is_the_completion_by_heaviest_components(model: MAC) -> None:
    x, evidence, context = rows()
    assert torch.equal(model.mode(x, evidence, context), model.complete(x, evidence, context, "component"))


@pytest.mark.parametrize("garbage", [17.0, math.nan, math.inf])
def test_unobserved_values_are_never_read(model: MAC, garbage: float) -> None:
    x, evidence, context = rows()
    query = ~evidence & CardinalityMasks(DIM).sample(ROWS, generator(3))
    spoilt = torch.where(evidence, x, garbage)
    for pick in PICKS:
        right, got = (model.complete(value, evidence, context, pick, generator()) for value in (x, spoilt))
        assert torch.equal(got, right)
    best = [model.best_of(value, evidence, context, 3, generator()) for value in (x, spoilt)]
    assert torch.equal(*best)
    spoilt = torch.where(evidence | query, x, garbage)
    right, got = (model.log_prob(value, query, evidence, context) for value in (x, spoilt))
    assert torch.equal(got, right)


def test_observed_values_and_context_are_read(model: MAC) -> None:
    x, _, context = rows()
    value = model.mode(x, held(3), context)
    assert (model.mode(x + 1, held(3), context) - value)[:, :3].abs().amax(1).min() > 1e-4
    assert (model.mode(x, held(3), context + 1) - value)[:, :3].abs().amax(1).min() > 1e-4


def test_a_known_zero_is_not_an_unknown(model: MAC) -> None:
    _, _, context = rows()
    nothing = torch.zeros(ROWS, DIM)
    assert (model.mode(nothing, held(0), context) - model.mode(nothing, held(), context)).abs().max() > 1e-3


def test_evidence_is_never_changed(model: MAC) -> None:
    x, evidence, context = rows()
    before = x.clone(), evidence.clone(), context.clone()
    answers = [model.complete(x, evidence, context, pick, generator()) for pick in PICKS]
    answers += [model.mode(x, evidence, context), model.best_of(x, evidence, context, 3, generator())]
    answers += list(model.sample(x, evidence, context, 2, generator()))
    for answer in answers:
        assert torch.equal(answer[evidence], x[evidence])
        assert torch.isfinite(answer).all()
    for now, then in zip((x, evidence, context), before, strict=True):
        assert torch.equal(now, then)


def test_samples_differ_and_repeat_with_the_generator(model: MAC) -> None:
    x, evidence, context = rows()
    first, second = model.sample(x, evidence, context, 2, generator(4))
    missing = ~evidence
    assert (first != second)[missing].all()
    again = model.sample(x, evidence, context, 2, generator(4))
    assert torch.equal(again, torch.stack([first, second]))


def test_best_of_returns_the_candidate_of_the_highest_density(model: MAC) -> None:
    x, evidence, context = rows()
    candidates = model.sample(x, evidence, context, 8, generator(5))
    scores = torch.stack([model.log_prob(candidate, ~evidence, evidence, context) for candidate in candidates])
    best = model.best_of(x, evidence, context, 8, generator(5))
    expected = torch.stack([candidates[scores[:, row].argmax(), row] for row in range(ROWS)])
    assert torch.equal(best, expected)
    assert len(set(scores.argmax(0).tolist())) > 2


def test_asked_and_given_may_not_overlap(model: MAC) -> None:
    x, _, context = rows()
    with pytest.raises(ValueError, match="overlap"):
        model.log_prob(x, held(0, 1), held(1, 2), context)


@pytest.mark.parametrize(("edge", "regression"), [(0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.3, 2.0)])
def test_the_loss_is_the_formula(edge: float, regression: float) -> None:
    model = network(edge=edge, regression=regression)
    x, _, context = rows()
    nodes = model.protocol.sample(ROWS, generator(6))
    mixture = model.conditionals(x, nodes, context)
    cost = -mixture.log_prob(x) + regression * (PICKS["mean"](mixture, None) - x) ** 2
    expected = 0.0
    for row in range(ROWS):
        missing = (~nodes[row]).nonzero().flatten().tolist()
        out_edges = sum(cost[row, dim].item() for dim in missing) / len(missing)
        expected += (edge * cost[row, missing[0]].item() + (1 - edge) * out_edges) / ROWS
    assert model.loss(x, context, generator(6)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("options", [{"edge": -0.1}, {"edge": 1.1}, {"evidence_noise": -0.1}, {"regression": -1.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"edge must be in \[0, 1\], evidence_noise and regression at least 0"):
        network(**options)


def test_noise_is_put_on_the_evidence_and_nowhere_else() -> None:
    noise, n = 0.5, 4000
    model = network(ChannelMasks(DIM, FixedChannels([1, 2, 3], DIM)), evidence_noise=noise, regression=2.0)
    x, _, context = rows(n=n)
    inputs: list[Tensor] = []
    model.trunk.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    loss = model.loss(x, context, generator(8))
    known, mask, seen_context = inputs[0].split([DIM, DIM, CONTEXT], 1)
    assert torch.equal(mask.bool(), held(1, 2, 3, n=n))
    assert torch.equal(seen_context, context)
    assert torch.equal(known[:, 0], torch.zeros(n))
    error = (known - x)[:, 1:]
    assert error.abs().min() > 0
    assert error.mean().item() == pytest.approx(0.0, abs=0.02)
    assert error.square().mean().item() == pytest.approx(noise**2 / 3, rel=0.1)
    by_row = error.square().mean(1)
    assert by_row.max() > 20 * by_row.median()  # a strength a row, not one for all
    mixture = model.conditionals(known, held(1, 2, 3, n=n), context)
    clean = -mixture.log_prob(x) + 2 * (mixture.mean - x).square()  # the targets carry no noise
    assert loss.item() == pytest.approx(clean[:, 0].mean().item(), rel=1e-4)


def test_noise_changes_nothing_where_nothing_is_observed() -> None:
    masks = ChannelMasks(1, FixedChannels([], 1))
    x, _, context = rows(dim=1)
    losses = [network(masks, evidence_noise=noise).loss(x, context, generator(9)).item() for noise in (0.0, 100.0)]
    assert losses[0] == losses[1]


def test_the_loss_repeats_with_the_generator() -> None:
    model = network(evidence_noise=0.1)
    x, _, context = rows()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    losses = [model.loss(x, context, generator(seed)).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_stay_finite_on_saturated_data() -> None:
    """Values at the box's corners, a tiny floor and a hasty optimiser."""
    model = network(floor=1e-3).train()
    drawing = generator(10)
    x = torch.where(torch.rand(64, DIM, generator=drawing) < 0.8, 1.0, -0.999)
    x[:, 3] = 1.0
    context = 100 * torch.randn(64, CONTEXT, generator=drawing)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = model.loss(x, context, drawing)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in model.parameters())
        optimiser.step()
    assert loss.item() < 0


def test_an_untrained_answer_to_an_outlier_is_finite(model: MAC) -> None:
    x, evidence, context = rows()
    assert torch.isfinite(model.log_prob(1e4 * x, ~evidence, evidence, 1e4 * context)).all()
    assert torch.isfinite(model.mode(1e4 * x, evidence, 1e4 * context)).all()


def test_a_saved_model_comes_back_as_it_was(model: MAC, tmp_path: Path) -> None:
    x, evidence, context = rows()
    save_model(model, str(tmp_path / "mac.safetensors"))
    fresh = MAC(DIM, CONTEXT, CompletionProtocol(CardinalityMasks(DIM)), width=16, depth=2, components=3).eval()
    assert not torch.equal(fresh.mode(x, evidence, context), model.mode(x, evidence, context))
    load_model(fresh, str(tmp_path / "mac.safetensors"))
    assert torch.equal(fresh.mode(x, evidence, context), model.mode(x, evidence, context))
    asked = ~evidence
    assert torch.equal(fresh.log_prob(x, asked, evidence, context), model.log_prob(x, asked, evidence, context))


class Gaussian:
    """x ~ N(A c, S) for a context c ~ N(0, 1)^2: three dimensions, correlated."""

    slope = torch.tensor([[0.5, 0.0], [0.0, -0.5], [0.3, 0.3]])
    root = torch.tensor([[0.5, 0.0, 0.0], [0.4, 0.3, 0.0], [-0.3, 0.2, 0.3]])
    covariance = root @ root.T
    entropy = 0.5 * torch.logdet(2 * math.pi * math.e * covariance).item()

    def sample(self, n: int, drawing: torch.Generator) -> tuple[Tensor, Tensor]:
        context = torch.randn(n, 2, generator=drawing)
        return context @ self.slope.T + torch.randn(n, 3, generator=drawing) @ self.root.T, context

    def conditional_mean(self, x: Tensor, context: Tensor, given: list[int], asked: list[int]) -> Tensor:
        mean = context @ self.slope.T
        gain = self.covariance[asked][:, given] @ torch.linalg.inv(self.covariance[given][:, given])
        result: Tensor = mean[:, asked] + (x - mean)[:, given] @ gain.T
        return result

    def conditional_covariance(self, given: list[int], asked: list[int]) -> Tensor:
        s = self.covariance
        between = s[asked][:, given]
        result: Tensor = s[asked][:, asked] - between @ torch.linalg.inv(s[given][:, given]) @ between.T
        return result


@pytest.fixture(scope="module")
def fitted() -> MAC:
    """Every set of evidence has mass in training, full ones apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MAC(3, 2, CompletionProtocol(CardinalityMasks(3)), width=48, depth=2, components=2)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    steps, drawing = 600, generator(11)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        model.loss(*Gaussian().sample(512, drawing), drawing).backward()
        optimiser.step()
        decay.step()
    return model.eval()


SUBSETS = [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize("given", SUBSETS)
def test_the_conditional_mean_is_learned(fitted: MAC, given: list[int]) -> None:
    law, asked = Gaussian(), [dim for dim in range(3) if dim not in given]
    x, context = law.sample(2000, generator(12))
    evidence = torch.isin(torch.arange(3), torch.tensor(given, dtype=torch.long)).expand(2000, -1)
    error = fitted.complete(x, evidence, context, "mean")[:, asked] - law.conditional_mean(x, context, given, asked)
    assert error.square().mean().sqrt() < 0.06
    assert error.mean(0).abs().max() < 0.04


@pytest.mark.parametrize("given", SUBSETS)
def test_the_likelihood_is_near_the_entropy(fitted: MAC, given: list[int]) -> None:
    law, asked = Gaussian(), [dim for dim in range(3) if dim not in given]
    x, context = law.sample(4000, generator(13))
    evidence = torch.isin(torch.arange(3), torch.tensor(given, dtype=torch.long)).expand(4000, -1)
    covariance = law.conditional_covariance(given, asked)
    residual = x[:, asked] - law.conditional_mean(x, context, given, asked)
    truth = torch.distributions.MultivariateNormal(torch.zeros(len(asked)), covariance).log_prob(residual)
    with torch.no_grad():
        gap = (truth - fitted.log_prob(x, ~evidence, evidence, context)).mean()
    assert -0.01 < gap.item() < 0.05


def test_the_joint_likelihood_is_near_the_entropy(fitted: MAC) -> None:
    x, context = Gaussian().sample(20_000, generator(14))
    nothing = torch.zeros(20_000, 3, dtype=torch.bool)
    with torch.no_grad():
        nll = -fitted.log_prob(x, ~nothing, nothing, context).mean().item()
    assert nll == pytest.approx(Gaussian.entropy, abs=0.06)


def test_samples_have_the_conditional_covariance(fitted: MAC) -> None:
    law = Gaussian()
    x, context = torch.tensor([[0.0, 0.4, 0.0]]), torch.zeros(1, 2)
    drawn = fitted.sample(x, torch.tensor([[False, True, False]]), context, 8000, generator(15))[:, 0][:, [0, 2]]
    torch.testing.assert_close(drawn.mean(0), law.conditional_mean(x, context, [1], [0, 2])[0], atol=0.06, rtol=0.0)
    torch.testing.assert_close(drawn.T.cov(), law.conditional_covariance([1], [0, 2]), atol=0.03, rtol=0.0)
