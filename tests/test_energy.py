"""Energies: the samplers find known minima round clamped values, and the losses equal their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from autonomy.energy.infonce import Energy, gradient_penalty, info_nce, slope
from autonomy.energy.samplers import DerivativeFree, Langevin, Sampler
from autonomy.types import UserError
from tests.laws import generator

torch.set_num_threads(1)
DIM, ROWS = 3, 6
PRECISION = torch.tensor([[2.0, 0.8, -0.5], [0.8, 1.5, 0.4], [-0.5, 0.4, 1.0]])
SAMPLERS: dict[str, tuple[Sampler, float]] = {  # with the sharpness of the energy that it is asked to minimise
    "derivative-free": (DerivativeFree(samples=4000, rounds=10, shrink=0.6), 100.0),
    "langevin": (Langevin(samples=64, again_steps=10), 4.0),
}


def centres() -> Tensor:
    return torch.rand(ROWS, DIM, generator=generator(1)) - 0.5


def quadratic(centre: Tensor, sharpness: float = 1.0) -> Energy:
    """E(a) = sharpness (a - c)^T A (a - c) / 2 with a correlated A."""

    def energy(actions: Tensor) -> Tensor:
        away = actions - centre[:, None]
        return 0.5 * sharpness * ((away @ PRECISION) * away).sum(2)

    return energy


def some_held() -> tuple[Tensor, Tensor]:
    """Every row holds another set of dimensions; row 0 none, row 5 all. NaN where nothing is held."""
    held = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]]).bool()
    values = centres() + 0.4 * torch.rand(ROWS, DIM, generator=generator(2)) - 0.2
    return torch.where(held, values, torch.nan), held


@pytest.fixture(params=SAMPLERS)
def case(request: pytest.FixtureRequest) -> tuple[Sampler, float]:
    return SAMPLERS[request.param]


def test_samplers_find_a_known_minimum(case: tuple[Sampler, float]) -> None:
    sampler, sharpness = case
    nothing = torch.zeros(ROWS, DIM).bool()
    found = sampler.minimise(quadratic(centres(), sharpness), torch.full((ROWS, DIM), torch.nan), nothing, generator())
    torch.testing.assert_close(found, centres(), atol=0.05, rtol=0.0)
    assert not found.requires_grad


def test_samplers_find_the_conditional_minimum(case: tuple[Sampler, float]) -> None:
    """a_f = c_f - A_ff^-1 A_fh (a_h - c_h), by the rule for a quadratic with a part of it fixed."""
    sampler, sharpness = case
    values, held = some_held()
    found = sampler.minimise(quadratic(centres(), sharpness), values, held, generator())
    for row in range(ROWS):
        h, f, c = held[row], ~held[row], centres()[row]
        pull = PRECISION[f][:, h] @ (values[row, h] - c[h])
        torch.testing.assert_close(
            found[row, f], c[f] - torch.linalg.solve(PRECISION[f][:, f], pull), atol=0.05, rtol=0
        )


def test_a_minimum_outside_the_box_is_met_at_its_face(case: tuple[Sampler, float]) -> None:
    sampler, sharpness = case
    centre = torch.tensor([[1.5, -3.0, 0.2]])
    found = sampler.minimise(
        lambda actions: sharpness * (actions - centre).square().sum(2), centre, centre > 9, generator()
    )
    torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, 0.2]]), atol=0.05, rtol=0.0)


def test_held_values_are_untouched_from_the_first_step_to_the_last(case: tuple[Sampler, float]) -> None:
    """Bit for bit, and also where they lie outside the box."""
    sampler, sharpness = case
    values, held = some_held()
    values[held] = torch.linspace(-1.9, 1.9, int(held.sum()))
    seen: list[Tensor] = []
    inner = quadratic(centres(), sharpness)

    def energy(actions: Tensor) -> Tensor:
        seen.append(actions.detach().clone())
        return inner(actions)

    seen += [sampler.minimise(energy, values, held, generator())[:, None]]
    seen += [sampler.negatives(energy, values, held, 5, generator())]
    assert len(seen) > 10
    for actions in seen:
        wanted = values[:, None].expand_as(actions)
        where = held[:, None].expand_as(actions)
        assert torch.equal(actions[where].view(torch.int32), wanted[where].view(torch.int32))
        assert actions[~where].abs().max() <= 1


def test_samplers_repeat_with_their_generator_and_leave_the_global_one(case: tuple[Sampler, float]) -> None:
    sampler, sharpness = case
    before = torch.get_rng_state()
    energy, arguments = quadratic(centres(), sharpness), some_held()
    draws = [sampler.minimise(energy, *arguments, generator(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_derivative_free_negatives_are_uniform() -> None:
    values, held = torch.zeros(4, DIM), torch.zeros(4, DIM).bool()
    drawn = DerivativeFree().negatives(lambda actions: actions[:, :, 0], values, held, 20_000, generator())
    assert drawn.shape == (4, 20_000, DIM)
    assert drawn.abs().max() <= 1
    torch.testing.assert_close(drawn.mean((0, 1)), torch.zeros(DIM), atol=0.01, rtol=0.0)
    torch.testing.assert_close(drawn.var((0, 1)), torch.full((DIM,), 1 / 3), atol=0.01, rtol=0.0)


def test_langevin_negatives_are_where_the_energy_is_low() -> None:
    energy, nothing = quadratic(centres(), 2.0), torch.zeros(ROWS, DIM).bool()
    drawn = Langevin().negatives(energy, centres(), nothing, 8, generator())
    assert drawn.shape == (ROWS, 8, DIM)
    assert not drawn.requires_grad
    uniform = DerivativeFree().negatives(energy, centres(), nothing, 8, generator())
    assert energy(drawn).mean() < 0.1 * energy(uniform).mean()


def test_a_langevin_step_is_clipped_and_follows_the_slope() -> None:
    centre = torch.tensor([[0.1, -0.2, 3.0]])
    sampler = Langevin(steps=1, start=0.5, noise=0.0, limit=0.4)
    start = 2 * torch.rand(1, 2, DIM, generator=generator()) - 1
    drawn = sampler.negatives(quadratic(centre), centre, centre > 9, 2, generator())
    step = (0.5 * 0.5 * (start - centre) @ PRECISION).clamp(-0.4, 0.4)
    assert step.abs().max() == 0.4
    torch.testing.assert_close(drawn, (start - step).clamp(-1, 1))


def test_langevin_steps_are_random_of_the_given_strength() -> None:
    """With no slope the first step is Gaussian with the deviation size * noise."""
    sampler, nothing = Langevin(steps=1, start=0.1, noise=0.5), torch.zeros(1, DIM).bool()
    start = 2 * torch.rand(1, 50_000, DIM, generator=generator()) - 1
    drawn = sampler.negatives(lambda actions: 0 * actions.sum(2), torch.zeros(1, DIM), nothing, 50_000, generator())
    moved = (drawn - start)[drawn.abs() < 1]
    assert moved[start[drawn.abs() < 1].abs() < 0.7].std().item() == pytest.approx(0.05, rel=0.02)


def test_langevin_step_sizes_fall_as_a_polynomial() -> None:
    sizes = Langevin().sizes
    assert len(sizes) == 100
    assert (sizes[0], sizes[-1]) == (0.5, 1e-5)
    assert sizes[33] == pytest.approx((0.5 - 1e-5) * (66 / 99) ** 2 + 1e-5)
    assert Langevin(steps=1).sizes == [0.5]


def test_info_nce_with_two_negatives() -> None:
    energies = torch.tensor([[1.0, 2.0, -0.5], [0.0, 0.0, 0.0]])
    first = math.log1p(math.exp(1.0 - 2.0) + math.exp(1.0 + 0.5))
    assert info_nce(energies).item() == pytest.approx((first + math.log(3)) / 2)
    energies.requires_grad_()
    info_nce(energies).backward()
    expected = (torch.tensor([1.0, 0.0, 0.0]) - torch.softmax(-energies, 1)) / 2
    torch.testing.assert_close(energies.grad, expected.detach())


def test_the_slope_is_the_derivative_of_each_energy_by_itself() -> None:
    actions = torch.rand(ROWS, 4, DIM, generator=generator())
    torch.testing.assert_close(slope(quadratic(centres()), actions), (actions - centres()[:, None]) @ PRECISION)


@pytest.mark.parametrize(("margin", "expected"), [(1.0, 4.0), (2.5, 0.25), (3.0, 0.0), (4.0, 0.0)])
def test_the_gradient_penalty_of_a_linear_energy(margin: float, expected: float) -> None:
    """Its steepest slope is 3 everywhere."""
    weights = torch.tensor([1.0, -3.0, 2.0])
    assert gradient_penalty(lambda actions: actions @ weights, torch.zeros(2, 4, DIM), margin).item() == expected


def test_the_gradient_penalty_reaches_the_energy_s_parameters() -> None:
    """E = k |a|^2 / 2 has the slope k a: the penalty is the mean of max(0, k max|a| - 1)^2."""
    k = torch.tensor(3.0, requires_grad=True)
    actions = torch.tensor([[[0.5, -0.1], [0.1, -1.0]], [[0.2, 0.1], [0.0, 0.0]]])
    penalty = gradient_penalty(lambda a: 0.5 * k * a.square().sum(2), actions)
    assert penalty.item() == pytest.approx((0.5**2 + 2.0**2) / 4)
    penalty.backward()
    assert k.grad is not None
    assert k.grad.item() == pytest.approx(2 * (0.5 * 0.5 + 2.0 * 1.0) / 4)
    with torch.no_grad():
        assert gradient_penalty(lambda a: 0.5 * k * a.square().sum(2), actions).item() == penalty.item()


@pytest.mark.parametrize(
    ("sampler", "options", "sentence"),
    [
        (DerivativeFree, {"samples": 0}, "sampler.samples must be a whole number of at least 1, got 0"),
        (DerivativeFree, {"rounds": -1}, "sampler.rounds must be a whole number of at least 1, got -1"),
        (DerivativeFree, {"sigma": 0.0}, "sampler.sigma must be a number above 0, got 0.0"),
        (DerivativeFree, {"shrink": 1.5}, "sampler.shrink must be a number above 0 and at most 1, got 1.5"),
        (Langevin, {"samples": 2.5}, "sampler.samples must be a whole number of at least 1, got 2.5"),
        (Langevin, {"steps": 0}, "sampler.steps must be a whole number of at least 1, got 0"),
        (Langevin, {"again_steps": -1}, "sampler.again_steps must be a whole number of at least 0, got -1"),
        (Langevin, {"start": -0.5}, "sampler.start must be a number above 0, got -0.5"),
        (Langevin, {"noise": math.nan}, "sampler.noise must be a number of at least 0, got nan"),
    ],
)
def test_samplers_refuse_numbers_out_of_range(sampler: type, options: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        sampler(**options)
    assert str(caught.value) == sentence
