"""Mixture heads: the density they promise, its floor, and the outputs they read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from autonomy.density.mixture import MixtureHead
from autonomy.types import UserError
from tests.laws import generator

DIM, COMPONENTS, FLOOR = 3, 4, 0.05


def raw_outputs(rows: int) -> Tensor:
    return 2 * torch.randn(rows, 3 * DIM * COMPONENTS, generator=generator())


def head() -> MixtureHead:
    return MixtureHead(DIM, COMPONENTS, FLOOR)


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


def test_one_dimension_a_row_is_that_dimension_of_all() -> None:
    raw, dims, x = raw_outputs(6), torch.tensor([0, 2, 1, 1, 0, 2]), torch.randn(6, generator=generator(1))
    rows = torch.arange(6)
    alone = head().at(raw.view(6, DIM, -1)[rows, dims], dims)
    torch.testing.assert_close(alone.log_prob(x), head()(raw).log_prob(x[:, None].expand(-1, DIM))[rows, dims])


def test_densities_integrate_to_one() -> None:
    grid = torch.arange(-40.0, 40.0, 0.01)
    density = head()(raw_outputs(1)).log_prob(grid[:, None].expand(-1, DIM)).double().exp()
    torch.testing.assert_close(
        torch.trapezoid(density, dx=0.01, dim=0), torch.ones(DIM).double(), atol=1e-3, rtol=0.0, check_dtype=False
    )


def test_scales_stay_above_the_floor() -> None:
    raw = raw_outputs(200).view(200, DIM, 3, COMPONENTS)
    raw[:, :, 2] *= 100
    scales = head()(raw.flatten(1)).scales
    assert scales.min() == pytest.approx(FLOOR)
    assert scales.min() >= FLOOR
    assert scales.max() > 100


def test_the_means_start_spread_out() -> None:
    at_rest = head()(torch.zeros(1, 3 * DIM * COMPONENTS)).means[0]
    torch.testing.assert_close(at_rest, torch.tensor([-0.6, -0.2, 0.2, 0.6]).repeat(DIM, 1))


def test_centred_mixtures_keep_their_shape_about_a_mean_that_is_linear() -> None:
    raw = raw_outputs(6)
    free, centred = head()(raw), MixtureHead(DIM, COMPONENTS, FLOOR, centred=True)(raw)
    torch.testing.assert_close(centred.mean, raw.view(6, DIM, 3, COMPONENTS)[:, :, 1].mean(-1))
    torch.testing.assert_close(centred.deviation, free.deviation)
    torch.testing.assert_close(centred.log_weights, free.log_weights)


@pytest.mark.parametrize(("components", "floor"), [(0, 0.1), (-1, 0.1), (3, 0.0), (3, -0.1)])
def test_impossible_mixtures_are_refused(components: int, floor: float) -> None:
    with pytest.raises(UserError, match="components >= 1 and floor > 0"):
        MixtureHead(2, components, floor)


@pytest.mark.parametrize(
    ("given", "read"), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)]
)
def test_half_precision_is_read_in_single_and_double_in_double(given: torch.dtype, read: torch.dtype) -> None:
    module = head().to(torch.float64 if given == torch.float64 else torch.float32)
    assert module(raw_outputs(2).to(given)).log_prob(torch.zeros(2, DIM, dtype=read)).dtype == read
