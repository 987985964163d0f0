"""Energy networks: spectral norm, layers, dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from autonomy.energy.infonce import info_nce
from autonomy.energy.network import EnergyNetwork, PreActivationMLP
from autonomy.types import UserError
from tests.laws import generator

torch.set_num_threads(1)
DIM = 3


def network(seed: int = 0, gain: float = 10.0, **options: bool) -> EnergyNetwork:
    """Weights far steeper than 1; spectral norm has had the forward passes that it needs to know them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = EnergyNetwork(2, DIM, 32, 4, **{"spectral": True, **options})
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if not name.endswith("bias"):
                weight.mul_(gain)
        for _ in range(50):
            made(torch.zeros(1, 2), torch.zeros(1, 1, DIM))
    return made.eval()


def gains(made: nn.Module) -> list[float]:
    layers = [module for module in made.modules() if isinstance(module, nn.Linear)]
    return [torch.linalg.matrix_norm(layer.weight, ord=2).item() for layer in layers]


def test_spectral_norm_bounds_every_layer_s_gain() -> None:
    made = network()
    assert gains(made) == pytest.approx([1.0] * 6, abs=0.01)
    assert min(gains(network(spectral=False))) > 3
    first, second = (torch.rand(200, 5, DIM, generator=generator(seed)) * 2 - 1 for seed in (1, 2))
    rise = (made(torch.ones(200, 2), first) - made(torch.ones(200, 2), second)).abs()
    assert bool((rise <= 1.05 * 2**2 * (first - second).norm(dim=2)).all()), "each of two residual blocks has gain 2"


def test_spectral_norm_goes_with_an_average_of_the_weights() -> None:
    """The average has weights of its own and the buffers of the network that it follows, so its gain is 1 as well."""
    made = network(gain=1.0).train()
    average = AveragedModel(made, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimiser, drawing = torch.optim.Adam(made.parameters(), 1e-2), generator()
    for _ in range(60):
        optimiser.zero_grad()
        actions = torch.rand(64, 5, DIM, generator=drawing) * 2 - 1
        info_nce(made(torch.zeros(64, 2), actions.sort(1).values)).backward()
        optimiser.step()
        average.update_parameters(made)
    theirs, ours = dict(average.module.named_buffers()), dict(made.named_buffers())
    assert {name for name in ours if "_u" in name}
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert not torch.equal(*(next(iter(module.parameters())) for module in (made, average.module)))
    assert max(gains(average.module.eval())) < 1.05


def test_the_network_is_a_pre_activation_residual_one() -> None:
    made = PreActivationMLP(2, 3, 8, 4)
    x = torch.rand(5, 2, generator=generator())
    hidden = made.entry(x)
    for block in made.blocks:
        hidden = hidden + block.second(torch.relu(block.first(torch.relu(hidden))))
    torch.testing.assert_close(made(x), made.exit(hidden))
    assert len([module for module in made.modules() if isinstance(module, nn.Linear)]) == 4 + 2
    assert not any(is_parametrized(module) for module in made.modules())


def test_dropout_is_for_training_alone() -> None:
    made, x = PreActivationMLP(2, 3, 32, 2, dropout=0.5), torch.ones(1, 2)
    with torch.random.fork_rng():
        assert not torch.equal(made(x), made(x))
    assert torch.equal(made.eval()(x), made(x))


def test_energies_are_of_each_pair_by_itself() -> None:
    made = network()
    context, actions = (torch.rand(shape, generator=generator()) for shape in ((4, 2), (4, 3, DIM)))
    energies = made(context, actions)
    assert energies.shape == (4, 3)
    torch.testing.assert_close(made(context[2:3], actions[2:3, 1:2]).squeeze(), energies[2, 1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth": 3}, "depth must be even, since two layers make a residual block, got 3"),
        ({"depth": 0}, "depth must be a whole number of at least 2, got 0"),
        ({"width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be a number of at least 0 and at most 0.99, got 1.0"),
    ],
)
def test_networks_refuse_numbers_out_of_range(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        PreActivationMLP(2, 3, **{"width": 8, "depth": 4, **options})  # type: ignore[arg-type]
    assert str(caught.value) == sentence
