"""Diffusion: a Gaussian whose optimal denoiser is known, the loss, and the two assistants built on it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.diffusion import DiffusionAssistant
from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.diffusion.denoiser import Denoiser
from autonomy.diffusion.model import Diffusion
from autonomy.types import UserError

torch.set_num_threads(1)
STATE, DIM, ROWS = 5, 4, 4000
MEAN = torch.tensor([0.3, -0.2, 0.1, -0.1])
COVARIANCE = 0.01 * torch.tensor(
    [[5.0, 3.5, -2.0, 0.5], [3.5, 6.0, 0.5, 2.0], [-2.0, 0.5, 4.0, 1.5], [0.5, 2.0, 1.5, 3.0]]
)
NOTHING = torch.zeros(ROWS, 0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
    denoiser = randomised(Denoiser(DIM, STATE, 100, width=16, depth=2))
    x, level, context = torch.zeros(3, DIM), torch.tensor([1, 50, 100]), torch.zeros(3, STATE)
    out = denoiser(x, level, context)
    assert out.shape == (3, DIM)
    assert len({tuple(row) for row in out.tolist()}) == 3
    for changed in ((x + 1, level, context), (x, level - 1, context), (x, level, context + 1)):
        assert (denoiser(*changed) != out).any(1).all()
    assert not [name for name in denoiser.state_dict() if not name.startswith("trunk.")]


def randomised(module: Any) -> Any:
    """Every weight random, so that every input matters."""
    drawing = generator(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.15 * torch.randn(weight.shape, generator=drawing))
    return module.eval()


def assistant(kind: type[TorchAssistant] = DiffusionAssistant, **options: Any) -> Any:
    return randomised(kind(STATE, DIM, **{"width": 16, "depth": 2, **options}))  # type: ignore[arg-type]


def observed(n: int = 12) -> dict[str, Any]:
    """States, an operator's values, and masks of which the first is empty and no other one is."""
    rng = np.random.default_rng(0)
    mask = rng.random((n, DIM)) < 0.5
    mask[:, 1] = np.arange(n) > 0
    mask[0] = False
    return {
        "state": rng.normal(size=(n, STATE)).astype(np.float32),
        "operator_action": rng.uniform(-1, 1, (n, DIM)).astype(np.float32),
        "operator_mask": mask,
    }


def test_without_an_operator_s_action_there_is_nothing_but_the_operator_s() -> None:
    """`gamma` = 0: the operator's action itself, 0 where it holds nothing; autonomy in the row with an empty mask."""
    seen = observed()
    states, operator, mask = (torch.from_numpy(seen[key]) for key in ("state", "operator_action", "operator_mask"))
    out = assistant(ForwardDiffusion, gamma=0.0).complete(states, operator, mask)
    assert torch.equal(out[1:], torch.where(mask, operator, 0.0)[1:])
    assert (out[0] != 0).all()
    alone = assistant(ForwardDiffusion, gamma=1.0).complete(states[:1], operator[:1], mask[:1])
    torch.testing.assert_close(out[:1], alone)


@pytest.mark.parametrize(("gamma", "reads"), [(0.3, True), (1.0, False)])
def test_at_gamma_1_the_operator_is_not_read(gamma: float, reads: bool) -> None:
    seen = observed()
    states, operator, mask = (torch.from_numpy(seen[key]) for key in ("state", "operator_action", "operator_mask"))
    first, other = (
        assistant(ForwardDiffusion, gamma=gamma).complete(states, action, mask)[1:] for action in (operator, -operator)
    )
    assert torch.equal(first, other) != reads
    assert ((first != other).any(1) == reads).all()


def test_gamma_is_how_far_the_operator_is_left() -> None:
    """The optimal denoiser pulls an unlikely action to the data, the more the larger `gamma`."""
    seen = {"state": torch.zeros(ROWS, STATE), "operator": torch.full((ROWS, DIM), 0.9), "mask": known(0, 1, 2, 3)}
    away = []
    for gamma in (0.0, 0.2, 0.4, 0.7, 1.0):
        forward = assistant(ForwardDiffusion, gamma=gamma)
        forward.diffusion.denoiser = OfGaussian(100)
        away.append((forward.complete(*seen.values()).mean(0) - MEAN).norm().item())
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.03 < 0.3 * away[0] < away[1]


@pytest.mark.parametrize("kind", [DiffusionAssistant, ForwardDiffusion])
def test_weights_are_shared_and_draws_repeat_with_their_seed(kind: type[TorchAssistant]) -> None:
    seen, torch_state = observed(), torch.get_rng_state()
    first, same, other = (assistant(kind, seed=seed) for seed in (3, 3, 4))
    for weight in same.parameters():
        weight.data.zero_()
    same.load_state_dict(assistant(DiffusionAssistant).state_dict())
    draws = [first.predict(seen)[0] for _ in range(2)]
    assert np.array_equal(draws, [same.predict(seen)[0] for _ in range(2)])
    assert not np.array_equal(*draws)
    assert not np.array_equal(draws[0], other.predict(seen)[0])
    with torch.random.fork_rng():
        torch.set_rng_state(torch_state)
        before = torch.get_rng_state()
        first.predict(seen)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", [DiffusionAssistant, ForwardDiffusion])
def test_the_operator_s_values_come_back_bit_for_bit(kind: type[TorchAssistant]) -> None:
    seen = observed()
    action, _ = assistant(kind).predict(seen)
    mask = seen["operator_mask"]
    assert action[mask].tobytes() == seen["operator_action"][mask].tobytes()
    assert np.isfinite(action).all()
    assert np.abs(action).max() <= 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"levels": 1}, "levels must be a whole number of at least 2, got 1"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 16}, "steps must be a divisor of the 100 noise levels, got 16"),
        ({"steps": 200}, "steps must be a divisor of the 100 noise levels, got 200"),
        ({"eta": 1.5}, "eta must be a number of at least 0 and at most 1, got 1.5"),
        ({"resample": 0}, "resample must be a whole number of at least 1, got 0"),
        ({"resample": True}, "resample must be a whole number of at least 1, got True"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}$"):
        assistant(**options)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, float("nan"), "much"])
def test_a_bad_gamma_is_refused(gamma: Any) -> None:
    with pytest.raises(UserError, match=r"^gamma must be a number of at least 0 and at most 1, got "):
        assistant(ForwardDiffusion, gamma=gamma)


def test_the_library_is_imported_where_it_is_used() -> None:
    """Importing diffusers takes seconds, and configurations name these modules."""
    modules = "autonomy.assistants.diffusion, autonomy.assistants.forward_diffusion"
    code = f"import sys, {modules}; print('diffusers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


class World:
    """Two ways of acting in every state: a = +-(tanh of the state) with noise, the sign shared by all dimensions."""

    def sample(self, n: int, drawing: torch.Generator) -> tuple[Tensor, Tensor]:
        states = torch.randn(n, STATE, generator=drawing)
        sign = torch.where(torch.rand(n, 1, generator=drawing) < 0.5, -1.0, 1.0)
        noise = 0.05 * torch.randn(n, DIM, generator=drawing)
        return states, (sign * (0.5 + 0.3 * torch.tanh(states[:, :DIM])) + noise).clamp(-1, 1)


def test_it_learns_to_commit_alone_and_to_follow_the_operator() -> None:
    """Of two ways it takes either as often; one value of the operator tells it which, the surer the more resampling."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = DiffusionAssistant(STATE, DIM, width=64, depth=2)
    drawing = generator(5)
    optimiser = torch.optim.Adam(learner.parameters(), 3e-3)
    for _ in range(800):
        optimiser.zero_grad()
        learner.loss(*World().sample(256, drawing), drawing).backward()
        optimiser.step()
    states, actions = World().sample(500, generator(6))
    nothing, held = torch.zeros(500, DIM).bool(), (torch.arange(DIM) == 2).expand(500, -1)
    with torch.no_grad():
        alone = learner.eval().complete(states, actions, nothing)
    assert (alone.abs() - actions.abs()).abs().mean() < 0.12
    assert 0.4 < (alone.mean(1) > 0).float().mean() < 0.6
    shares = []
    for learner.diffusion.resample in (1, 10):
        with torch.no_grad():
            off = (learner.complete(states, actions, held) - actions).square().sum(1).sqrt()
        shares.append((off < 0.5).float().mean().item())
    assert 0.5 < shares[0] < shares[1] - 0.1
    assert shares[1] > 0.85
