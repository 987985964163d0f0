"""Diffusion: a Gaussian whose optimal denoiser is known, and the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.diffusion.denoiser import Denoiser
from autonomy.diffusion.model import Diffusion
from tests.assistants import randomise
from tests.laws import generator

torch.set_num_threads(1)
STATE, DIM, ROWS = 5, 4, 4000
MEAN = torch.tensor([0.3, -0.2, 0.1, -0.1])
COVARIANCE = 0.01 * torch.tensor(
    [[5.0, 3.5, -2.0, 0.5], [3.5, 6.0, 0.5, 2.0], [-2.0, 0.5, 4.0, 1.5], [0.5, 2.0, 1.5, 3.0]]
)
NOTHING = torch.zeros(ROWS, 0)


class OfGaussian(nn.Module):
    """The optimal denoiser of N(m, C): E[eps | x_k] = sqrt(1 - a) (a C + (1 - a) I)^-1 (x_k - sqrt(a) m)."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        signal = Diffusion(nn.Identity(), levels).scheduler.alphas_cumprod.double()[:, None, None]
        noisy = signal * COVARIANCE + (1 - signal) * torch.eye(DIM, dtype=torch.float64)
        self.gains = (1 - signal).sqrt() * torch.linalg.inv(noisy)
        self.means = signal[:, 0].sqrt() * MEAN

    def forward(self, x: Tensor, level: Tensor, context: Tensor) -> Tensor:
        (k,) = level.unique().tolist()
        return ((x - self.means[k - 1]) @ self.gains[k - 1]).float()


def gaussian(steps: int = 10, levels: int = 100, **options: Any) -> Diffusion:
    return Diffusion(OfGaussian(levels), levels, steps, **options)


def known(*dims: int) -> Tensor:
    return torch.isin(torch.arange(DIM), torch.tensor(dims)).expand(ROWS, -1)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("steps", "levels", "close"), [(1000, 1000, 0.004), (10, 100, 0.035)])
def test_samples_have_the_mean_and_the_covariance(steps: int, levels: int, close: float, eta: float) -> None:
    """With many steps to the accuracy of 4000 draws; few steps narrow the law."""
    x = gaussian(steps, levels, eta=eta).complete(torch.zeros(ROWS, DIM), known(), NOTHING, generator())
    torch.testing.assert_close(x.mean(0), MEAN, atol=0.015, rtol=0)
    torch.testing.assert_close(x.T.cov(), COVARIANCE, atol=close, rtol=0)
    if steps == 10:
        assert (x.var(0) < COVARIANCE.diag()).all()


@pytest.mark.parametrize("dims", [(0, 2), (3,), (0, 1, 2)])
def test_in_painting_approaches_the_conditional(dims: tuple[int, ...]) -> None:
    """Its error in the mean falls with resampling, and is then small against what the known values tell."""
    held, free = list(dims), [d for d in range(DIM) if d not in dims]
    values = MEAN + 0.2 * torch.tensor([1.0, -1.0, -1.0, 1.0])
    gain = COVARIANCE[free][:, held] @ torch.linalg.inv(COVARIANCE[held][:, held])
    shift = gain @ (values - MEAN)[held]
    errors = []
    for resample in (1, 10):
        diffusion = gaussian(20, resample=resample)
        x = diffusion.complete(values.expand(ROWS, -1), known(*dims), NOTHING, generator())
        assert torch.equal(x[:, held], values[held].expand(ROWS, -1))
        errors.append((x[:, free].mean(0) - MEAN[free] - shift).norm().item())
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.35 * shift.norm()


def test_in_painting_copies_and_never_reads_beside_the_mask() -> None:
    diffusion, drawing = gaussian(), generator(1)
    values, shares = MEAN + 0.2 * torch.rand(ROWS, DIM, generator=drawing), torch.rand(ROWS, DIM, generator=drawing)
    mask = shares < 0.5
    first = diffusion.complete(values, mask, NOTHING, generator())
    assert torch.equal(first[mask], values[mask])
    again = diffusion.complete(torch.where(mask, values, torch.nan), mask, NOTHING, generator())
    assert torch.equal(first, again)
    assert (first != diffusion.complete(values, mask, NOTHING, generator(2)))[~mask].all()


def test_noising_keeps_what_the_schedule_says() -> None:
    diffusion, x = gaussian(), torch.full((ROWS, DIM), 0.5)
    kept = torch.cos(torch.tensor((0.3 + 0.008) / 1.008 * torch.pi / 2)) / np.cos(0.008 / 1.008 * np.pi / 2)
    noisy = diffusion.noised(x, 30, generator())
    assert noisy.mean().item() == pytest.approx(0.5 * kept.item(), abs=0.02)
    assert noisy.var().item() == pytest.approx(1 - kept.item() ** 2, abs=0.02)
    assert diffusion.noised(x, 0, generator()) is x
    assert torch.equal(diffusion.noised(x, 100, generator()), diffusion.noised(-x, 100, generator()))


def test_noise_added_step_by_step_is_the_noise_of_the_level() -> None:
    """q(x_k | x_0) = E[q(x_k | x_j)] over q(x_j | x_0), for j = 20, k = 30, and for j = 0 where a stride goes below."""
    diffusion, x = gaussian(), torch.full((ROWS, DIM), 0.5)
    for low, high in ((20, 30), (0, 7)):
        lower = diffusion.noised(x, low, generator())
        twice, once = diffusion._up(lower, high, generator(1)), diffusion.noised(x, high, generator(2))
        assert twice.mean().item() == pytest.approx(once.mean().item(), abs=0.02)
        assert twice.var().item() == pytest.approx(once.var().item(), rel=0.05)


def test_the_number_of_evaluations() -> None:
    """A level costs `resample` of them only where something is known and not all is noise; a low start costs less."""
    diffusion, levels = gaussian(10, resample=3), list[int]()
    diffusion.denoiser.register_forward_hook(lambda module, inputs, output: levels.append(int(inputs[1][0])))
    x = torch.zeros(ROWS, DIM)
    diffusion.complete(x, known(), NOTHING, generator())
    assert levels == list(range(100, 0, -10))
    levels.clear()
    diffusion.complete(x, known(1), NOTHING, generator())
    assert levels == [100, *(level for level in range(90, 0, -10) for _ in range(3))]
    levels.clear()
    diffusion.denoise(x, 34, NOTHING, generator())
    assert levels == [34, 24, 14, 4]


class Silent(nn.Module):
    def forward(self, x: Tensor, level: Tensor, context: Tensor) -> Tensor:
        return torch.zeros_like(x)


def test_the_loss_of_a_silent_denoiser_is_the_noise_s_power() -> None:
    """E eps^2 = 1, with a standard error of sqrt(2 / (B D))."""
    x = torch.rand(ROWS, DIM, generator=generator(1))
    loss = Diffusion(Silent()).loss(x, NOTHING, generator()).item()
    assert abs(loss - 1) < 4 * (2 / (ROWS * DIM)) ** 0.5
    drawing = generator()
    torch.randint(1, 101, (ROWS,), generator=drawing)
    assert loss == pytest.approx(torch.randn(ROWS, DIM, generator=drawing).square().mean().item())


def test_the_optimal_denoiser_has_the_least_loss() -> None:
    """For N(m, C): the mean over the levels of tr(a C (a C + (1 - a) I)^-1) / D, what nobody can know of the noise."""

    class RowByRow(OfGaussian):
        def forward(self, x: Tensor, level: Tensor, context: Tensor) -> Tensor:
            centred = (x - self.means[level - 1])[:, None]
            return (centred @ self.gains[level - 1])[:, 0].float()

    diffusion = Diffusion(RowByRow(100))
    signal = diffusion.scheduler.alphas_cumprod[:, None, None]
    share = signal * COVARIANCE @ torch.linalg.inv(signal * COVARIANCE + (1 - signal) * torch.eye(DIM))
    expected = share.diagonal(dim1=1, dim2=2).mean().item()
    x = MEAN + torch.randn(20 * ROWS, DIM, generator=generator(3)) @ torch.linalg.cholesky(COVARIANCE).T
    assert diffusion.loss(x, torch.zeros(20 * ROWS, 0), generator()).item() == pytest.approx(expected, rel=0.02)


def test_the_denoiser_reads_all_that_it_is_given() -> None:
    denoiser = randomise(Denoiser(DIM, STATE, 100, width=16, depth=2))
    x, level, context = torch.zeros(3, DIM), torch.tensor([1, 50, 100]), torch.zeros(3, STATE)
    out = denoiser(x, level, context)
    assert out.shape == (3, DIM)
    assert len({tuple(row) for row in out.tolist()}) == 3
    for changed in ((x + 1, level, context), (x, level - 1, context), (x, level, context + 1)):
        assert (denoiser(*changed) != out).any(1).all()
    assert not [name for name in denoiser.state_dict() if not name.startswith("trunk.")]


def test_gamma_is_how_far_the_operator_is_left() -> None:
    """The optimal denoiser pulls an unlikely action to the data, the more the larger `gamma`."""
    seen = {"state": torch.zeros(ROWS, STATE), "operator": torch.full((ROWS, DIM), 0.9), "mask": known(0, 1, 2, 3)}
    away = []
    for gamma in (0.0, 0.2, 0.4, 0.7, 1.0):
        forward = randomise(ForwardDiffusion(STATE, DIM, width=16, depth=2, gamma=gamma))
        forward.diffusion.denoiser = OfGaussian(100)
        away.append((forward.complete(*seen.values()).mean(0) - MEAN).norm().item())
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.03 < 0.3 * away[0] < away[1]
