"""Mixture heads: the density they promise, its floor, and the values picked from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from autonomy.density.mixture import PICKS, MixtureHead

DIM, COMPONENTS, FLOOR = 3, 4, 0.05


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def raw_outputs(rows: int) -> Tensor:
    return 2 * torch.randn(rows, 3 * DIM * COMPONENTS, generator=generator())


def head() -> MixtureHead:
    return MixtureHead(DIM, COMPONENTS, FLOOR)


def mixture(weights: list[float], means: list[float], scales: list[float]) -> MixtureSameFamily:
    """One row, one dimension."""
    weights_, means_, scales_ = (torch.tensor(values).view(1, 1, -1) for values in (weights, means, scales))
    return MixtureSameFamily(Categorical(probs=weights_), Normal(means_, scales_))


def test_the_log_density_is_the_formula() -> None:
    raw = raw_outputs(6)
    x = torch.randn(6, DIM, generator=generator(1))
    logits, shifts, scales = np.moveaxis(raw.double().numpy().reshape(6, DIM, 3, COMPONENTS), 2, 0)
    means = shifts + np.array([-0.6, -0.2, 0.2, 0.6])
    scale = FLOOR + np.log1p(np.exp(scales - 1.0))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    bells = np.exp(-0.5 * ((x.double().numpy()[..., None] - means) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))
    expected = np.log((weights * bells).sum(-1))
    got = head()(raw).log_prob(x)
    assert got.shape == (6, DIM)
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_densities_integrate_to_one() -> None:
    grid = torch.arange(-40.0, 40.0, 0.01)
    density = head()(raw_outputs(1)).log_prob(grid[:, None].expand(-1, DIM)).double().exp()
    torch.testing.assert_close(
        torch.trapezoid(density, dx=0.01, dim=0), torch.ones(DIM).double(), atol=1e-3, rtol=0.0, check_dtype=False
    )


def test_scales_stay_above_the_floor() -> None:
    raw = raw_outputs(200).view(200, DIM, 3, COMPONENTS)
    raw[:, :, 2] *= 100
    scales = head()(raw.flatten(1)).component_distribution.stddev
    assert scales.min() == pytest.approx(FLOOR)
    assert scales.min() >= FLOOR
    assert scales.max() > 100


def test_the_means_start_spread_out() -> None:
    at_rest = head()(torch.zeros(1, 3 * DIM * COMPONENTS)).component_distribution.mean[0]
    torch.testing.assert_close(at_rest, torch.tensor([-0.6, -0.2, 0.2, 0.6]).repeat(DIM, 1))


@pytest.mark.parametrize(("components", "floor"), [(0, 0.1), (-1, 0.1), (3, 0.0), (3, -0.1)])
def test_impossible_mixtures_are_refused(components: int, floor: float) -> None:
    with pytest.raises(ValueError, match="components >= 1 and floor > 0"):
        MixtureHead(2, components, floor)


@pytest.mark.parametrize("sigmas", [50.0, 5000.0])
def test_far_out_values_and_their_gradients_are_finite(sigmas: float) -> None:
    raw = raw_outputs(8).view(8, DIM, 3, COMPONENTS)
    raw[:, :, 2] = -100.0
    raw[0, :, 0, 0] = 200.0
    raw = raw.flatten(1).requires_grad_()
    distribution = head()(raw)
    x = distribution.component_distribution.mean.detach().amax(-1) + sigmas * FLOOR
    log_prob = distribution.log_prob(x)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert (log_prob < -0.4 * sigmas**2).all()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()


def test_half_precision_outputs_are_read_in_single() -> None:
    assert head()(raw_outputs(2).bfloat16()).log_prob(torch.zeros(2, DIM)).dtype == torch.float32


def test_picks_from_a_mixture_with_a_razor_thin_component() -> None:
    """The thin tenth of the mass has the highest density: 0.1 / 0.02 > 0.9 / 0.3."""
    thin = mixture([0.9, 0.1], [-0.2, 0.8], [0.3, 0.02])
    assert PICKS["component"](thin, None).item() == pytest.approx(-0.2)
    assert PICKS["density"](thin, None).item() == pytest.approx(0.8)
    assert PICKS["mean"](thin, None).item() == pytest.approx(-0.1)


def test_density_counts_components_that_overlap() -> None:
    """No component is heavier or thinner than the lone one, but two of them stand together."""
    together = mixture([0.4, 0.3, 0.3], [-0.5, 0.5, 0.51], [0.1, 0.1, 0.1])
    assert PICKS["component"](together, None).item() == pytest.approx(-0.5)
    assert PICKS["density"](together, None).item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("pick", sorted(PICKS))
def test_picks_treat_rows_and_dimensions_apart(pick: str) -> None:
    """Narrow mixtures: whatever the pick, the value is the only one that each mixture has."""
    raw = torch.zeros(5, DIM, 3, 1)
    raw[:, :, 1, 0] = centres = torch.arange(15.0).view(5, DIM)
    raw[:, :, 2] = -100.0
    value = PICKS[pick](MixtureHead(DIM, 1, 1e-4)(raw.flatten(1)), generator())
    assert value.shape == (5, DIM)
    torch.testing.assert_close(value, centres, atol=1e-3, rtol=0.0)


def test_samples_have_the_mixture_s_law() -> None:
    distribution = head()(raw_outputs(1).expand(4000, -1))
    drawn = PICKS["sample"](distribution, generator(2))
    uniform = distribution.cdf(drawn).detach().numpy()
    for dim in range(DIM):
        assert kstest(uniform[:, dim], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(uniform.T) - np.eye(DIM)).max() < 0.06
    assert kstest(uniform[:, 0] * 0.95, "uniform").pvalue < 1e-3


def test_samples_come_from_the_generator_alone() -> None:
    distribution = head()(raw_outputs(3))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = PICKS["sample"](distribution, generator(5))
    assert torch.equal(first, PICKS["sample"](distribution, generator(5)))
    assert not torch.equal(first, PICKS["sample"](distribution, generator(6)))
    assert torch.equal(torch.get_rng_state(), before)
