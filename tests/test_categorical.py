"""Laws of categories against torch.distributions, and batches put together from laws of two kinds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, distributions

from autonomy.density.categorical import Bernoulli, Categorical, Discrete, MixedConditional
from autonomy.density.conditional import MixtureConditional
from autonomy.types import UserError
from tests.laws import ALARM, generator, p_value_of

ROWS, COUNT = 40, 5


def logits(*shape: int) -> Tensor:
    return 2 * torch.randn(*shape, generator=generator(3)).double()


LAWS: dict[str, tuple[Discrete, Tensor]] = {
    "categorical": (Categorical(logits(ROWS, COUNT)), torch.softmax(logits(ROWS, COUNT), -1)),
    "bernoulli": (Bernoulli(logits(ROWS)), torch.stack([1 - logits(ROWS).sigmoid(), logits(ROWS).sigmoid()], -1)),
}


@pytest.fixture(params=LAWS)
def law(request: pytest.FixtureRequest) -> tuple[Discrete, Tensor]:
    return LAWS[request.param]


def test_log_probabilities_are_torch_s() -> None:
    for value in range(COUNT):
        x = torch.full((ROWS,), float(value)).double()
        expected = distributions.Categorical(logits=logits(ROWS, COUNT)).log_prob(x)
        torch.testing.assert_close(Categorical(logits(ROWS, COUNT)).log_prob(x), expected)
    for value in (0.0, 1.0):
        x = torch.full((ROWS,), value).double()
        expected = distributions.Bernoulli(logits=logits(ROWS)).log_prob(x)
        torch.testing.assert_close(Bernoulli(logits(ROWS)).log_prob(x), expected)


def test_a_far_logit_keeps_its_log_probability() -> None:
    far = torch.tensor([-200.0, 200.0])
    torch.testing.assert_close(Bernoulli(far).log_prob(torch.tensor([1.0, 0.0])), torch.tensor([-200.0, -200.0]))


def test_mean_mode_and_distribution_function_are_sums(law: tuple[Discrete, Tensor]) -> None:
    of, p = law
    values = torch.arange(p.shape[1]).double()
    torch.testing.assert_close(of.mean, p @ values)
    assert torch.equal(of.mode, p.argmax(1).double())
    for point in (-0.5, 0.0, 0.3, 1.0, 7.0):
        torch.testing.assert_close(of.cdf(torch.tensor(point).double()), (p * (values <= point)).sum(1))


def test_quantiles_are_the_least_category_that_reaches_the_level(law: tuple[Discrete, Tensor]) -> None:
    of, p = law
    levels = torch.rand(ROWS, generator=generator(5)).double()
    found = of.quantile(levels)
    assert (of.cdf(found) >= levels).all()
    assert ((of.cdf(found - 1) < levels) | (found == 0)).all()
    assert (of.quantile(torch.tensor(1 - 1e-17).double()) <= p.shape[1] - 1).all()
    assert torch.equal(of.quantile(torch.tensor(1e-9).double()), torch.zeros(ROWS).double())


@pytest.mark.parametrize("value", [0.5, -1.0, 5.0, math.nan, math.inf])
def test_a_value_that_is_no_category_is_impossible(law: tuple[Discrete, Tensor], value: float) -> None:
    assert torch.equal(law[0].log_prob(torch.tensor(value).double()), torch.full((ROWS,), -math.inf).double())


def test_gradients_are_finite_beside_impossible_values() -> None:
    raw = logits(3, COUNT).requires_grad_()
    log_prob = Categorical(raw).log_prob(torch.tensor([0.0, 0.5, 9.0]).double())
    log_prob[log_prob.isfinite()].sum().backward()
    assert raw.grad is not None
    assert raw.grad[0].abs().sum() > 0
    assert not raw.grad[1:].any()


def test_draws_have_the_law_and_come_from_the_generator() -> None:
    weights = torch.tensor([0.5, 0.05, 0.3, 0.15])
    of = Categorical(weights.log().expand(20_000, -1))
    drawn = of.sample(generator(1))
    assert torch.equal(drawn, of.sample(generator(1)))
    assert p_value_of(torch.bincount(drawn.long(), minlength=4), weights) > ALARM
    assert p_value_of(torch.bincount(drawn.long(), minlength=4), weights.roll(2)) < ALARM
    coin = Bernoulli(torch.full((20_000,), -1.0)).sample(generator(2))
    assert p_value_of(torch.bincount(coin.long(), minlength=2), torch.tensor([1.0, -1.0]).sigmoid()) > ALARM


def test_every_pick_is_a_category(law: tuple[Discrete, Tensor]) -> None:
    of, p = law
    assert torch.equal(of.pick("mean"), of.mode)
    for name in of.picks():
        assert set(of.pick(name, generator()).tolist()) <= set(map(float, range(p.shape[1])))
    with pytest.raises(UserError, match="unknown pick 'component'; the valid ones are mean, mode, sample"):
        of.pick("component")


def test_a_batch_of_another_shape_is_the_same(law: tuple[Discrete, Tensor]) -> None:
    of, _ = law
    x = (torch.arange(ROWS) % 2).double()
    torch.testing.assert_close(of.view(8, 5).log_prob(x.view(8, 5)), of.log_prob(x).view(8, 5))
    assert torch.equal(of.view(8, 5).mode, of.mode.view(8, 5))


def mixed() -> tuple[MixedConditional, dict[int, MixtureConditional | Discrete]]:
    """A batch (2, 3): mixtures at the places 4 and 0, categories at 2, 1 and 5, a coin at 3; and each by itself."""
    normal = MixtureConditional(logits(2, 4), logits(2, 4).flip(0), logits(2, 4).abs() + 0.1)
    several, coin = Categorical(logits(3, COUNT)), Bernoulli(logits(1))
    places = [torch.tensor([4, 0]), torch.tensor([2, 1, 5]), torch.tensor([3])]
    alone: dict[int, MixtureConditional | Discrete] = {3: coin}
    for index, place in enumerate([4, 0]):
        alone[place] = MixtureConditional(*(part[index : index + 1] for part in (normal.log_weights, normal.means,
                                                                                 normal.scales)))  # fmt: skip
    for index, place in enumerate([2, 1, 5]):
        alone[place] = Categorical(several.log_probs[index : index + 1])
    return MixedConditional([normal, several, coin], places, (2, 3)), alone


def test_a_mixed_batch_is_its_parts_in_their_places() -> None:
    of, alone = mixed()
    x = torch.tensor([[0.3, 2.0, 4.0], [1.0, -0.2, 3.0]]).double()
    levels = torch.rand(2, 3, generator=generator(1)).double()
    several = torch.stack([x, x + 1, x + 2, x - 1])
    for place in range(6):
        row, column = divmod(place, 3)
        mine, law = (row, column), alone[place]
        torch.testing.assert_close(of.mean[mine], law.mean[0])
        torch.testing.assert_close(of.mode[mine], law.mode[0])
        torch.testing.assert_close(of.log_prob(x)[mine], law.log_prob(x[mine])[0])
        torch.testing.assert_close(
            of.log_prob(several)[(..., *mine)], law.log_prob(several[(..., *mine)][:, None])[:, 0]
        )
        torch.testing.assert_close(of.cdf(x)[mine], law.cdf(x[mine])[0])
        torch.testing.assert_close(of.quantile(levels)[mine], law.quantile(levels[mine])[0])
        torch.testing.assert_close(of.view(6).log_prob(x.view(6))[place], law.log_prob(x[mine])[0])
        torch.testing.assert_close(of.pick("mean")[mine], law.pick("mean")[0])
        own = "component" if place in (0, 4) else "mode"
        torch.testing.assert_close(of.pick("component")[mine], law.pick(own)[0])
    drawn = of.sample(generator(4))
    assert torch.equal(drawn, of.pick("sample", generator(4)))
    assert drawn.view(-1)[[1, 2, 3, 5]].frac().eq(0).all()
    assert drawn.view(-1)[[0, 4]].frac().ne(0).all()
    with pytest.raises(UserError, match="unknown pick 'best'; the valid ones are mean, mode, sample, component"):
        of.pick("best")
