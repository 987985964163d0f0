"""Implicit behaviour cloning and its explicit baseline as assistants: scaling, losses, two ways of acting, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.explicit_bc import ExplicitBC
from autonomy.assistants.ibc import IBC
from autonomy.checkpoint import load_assistant
from autonomy.configs import CONFIGS
from autonomy.data.normaliser import Normaliser
from autonomy.energy.infonce import gradient_penalty, info_nce
from autonomy.energy.samplers import DerivativeFree, Langevin
from autonomy.train import train
from autonomy.types import UserError
from tests.assistants import DIM, STATE, observation, randomise, rows
from tests.laws import generator

torch.set_num_threads(1)
SHORT = Langevin(samples=16, steps=5, start=1.0, again_steps=0)


def ibc(**options: Any) -> IBC:
    made = IBC(STATE, DIM, **{"sampler": SHORT, "width": 16, "depth": 2, **options})
    return randomise(made)  # type: ignore[return-value]


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def test_actions_are_scaled_to_the_box_with_a_margin() -> None:
    actions = torch.tensor([[-1.0, 0.0, 5.0], [1.0, 0.5, 5.0], [0.3, 0.1, 5.0]])
    scaler = Normaliser.of_range(actions, buffer=0.05)
    torch.testing.assert_close(scaler(actions)[:2, :2], torch.tensor([[-1.0, -1.0], [1.0, 1.0]]) / 1.1)
    torch.testing.assert_close(scaler(torch.tensor([[1.1, 0.525, 5.5]])), torch.tensor([[1.0, 1.0, 0.5]]))
    torch.testing.assert_close(scaler.inverse(scaler(actions)), actions)


def test_the_scale_is_of_the_training_actions_and_travels_with_the_weights() -> None:
    states, actions = rows()
    made = ibc(buffer=0.1)
    made.fit_normaliser(states, 0.3 * actions)
    torch.testing.assert_close(made.scaler(0.3 * actions).amax(0), torch.full((DIM,), 1 / 1.2))
    assert {"normaliser.mean", "scaler.mean", "scaler.std"} <= set(made.state_dict())
    filled = made.predict(observation())[0][~observation()["operator_mask"]]
    assert 0.3 < np.abs(filled).max() <= 0.3 * 1.2 + 1e-6


@pytest.mark.parametrize("sampler", [SHORT, DerivativeFree(samples=16)])
@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_the_loss_is_info_nce_and_the_penalty_of_the_sampler_s_negatives(sampler: Any, penalty: float) -> None:
    made = ibc(sampler=sampler, negatives=3, penalty=penalty, margin=0.01)
    states, actions = rows()
    made.fit_normaliser(3 * states, actions)

    def energy(candidates: Tensor) -> Tensor:
        return made.network(made.normaliser(states), candidates)

    positives = made.scaler(actions)
    drawn = sampler.negatives(energy, positives, torch.zeros_like(actions).bool(), 3, generator(4))
    candidates = torch.cat([positives[:, None], drawn], 1)
    expected = info_nce(energy(candidates)) + penalty * gradient_penalty(energy, candidates, 0.01)
    assert made.loss(states, actions, generator(4)).item() == pytest.approx(expected.item(), rel=1e-5)
    with torch.no_grad():
        assert made.loss(states, actions, generator(4)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_loss_trains_every_weight_and_nothing_behind_the_negatives() -> None:
    made = ibc().train()
    states, actions = rows()
    made.loss(states, actions, generator()).backward()
    gradients = {name: weight.grad for name, weight in made.named_parameters()}
    assert [name for name, grad in gradients.items() if grad is None] == []
    # InfoNCE and slopes do not change when a constant is added to the energy, and nothing follows the last block's sum.
    unmoved = {name for name, grad in gradients.items() if grad.abs().max() < 1e-6}
    assert unmoved == {"network.trunk.blocks.0.second.bias", "network.trunk.exit.bias"}


def test_explicit_bc_s_loss_is_the_mean_squared_error() -> None:
    made = randomise(ExplicitBC(STATE, DIM, 16, 2))
    states, actions = rows()
    made.fit_normaliser(3 * states, actions)
    answers = made.complete(states, actions, torch.zeros_like(actions).bool())
    assert made.loss(states, actions, generator()).item() == pytest.approx(((answers - actions) ** 2).mean().item())


def two_ways(n: int, drawing: torch.Generator) -> tuple[Tensor, Tensor]:
    """a = +-(0.6, 0.3 + 0.2 tanh s) with a little noise: two ways of acting in every state, never the mean of them."""
    states = torch.randn(n, 1, generator=drawing)
    sign = torch.where(torch.rand(n, 1, generator=drawing) < 0.5, -1.0, 1.0)
    way = torch.cat([torch.full_like(states, 0.6), 0.3 + 0.2 * torch.tanh(states)], 1)
    return states, sign * way + 0.02 * torch.randn(n, 2, generator=drawing)


def learn(made: TorchAssistant, steps: int) -> TorchAssistant:
    drawing = generator(5)
    made.fit_normaliser(*two_ways(2000, drawing))
    optimiser = torch.optim.Adam(made.parameters(), 5e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        optimiser.zero_grad()
        made.loss(*two_ways(128, drawing), drawing).backward()
        optimiser.step()
    return made.eval()


@pytest.fixture(scope="module")
def taught() -> dict[str, TorchAssistant]:
    langevin = Langevin(samples=32, steps=10, start=1.0, again=0.02, again_steps=10)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {
            "langevin": IBC(1, 2, langevin, 32, 2, spectral=False),
            "derivative-free": IBC(1, 2, DerivativeFree(samples=256), 32, 2, spectral=False, negatives=32, penalty=0.0),
            "explicit": ExplicitBC(1, 2, width=32, depth=2, dropout=0.0),
        }
        return {name: learn(assistant, 150) for name, assistant in made.items()}


def answers(assistant: TorchAssistant, held: list[bool]) -> tuple[Tensor, Tensor]:
    """What is demonstrated and what is done, (200, 2) each, when the operator does as demonstrated."""
    states, actions = two_ways(200, generator(6))
    seen = {"state": states.numpy(), "operator_action": actions.numpy(), "operator_mask": np.tile(held, (200, 1))}
    return actions, torch.from_numpy(assistant.predict(seen)[0])


@pytest.mark.parametrize("name", ["langevin", "derivative-free"])
def test_an_implicit_policy_commits_to_one_of_two_ways(taught: dict[str, TorchAssistant], name: str) -> None:
    actions, done = answers(taught[name], [False, False])
    assert (done.abs() - actions.abs()).abs().mean(0).max() < 0.12
    assert (done.sign()[:, 0] == done.sign()[:, 1]).float().mean() > 0.95


@pytest.mark.parametrize("name", ["langevin", "derivative-free"])
@pytest.mark.parametrize("held", [0, 1])
def test_an_implicit_policy_goes_the_way_of_the_operator(
    taught: dict[str, TorchAssistant], name: str, held: int
) -> None:
    actions, done = answers(taught[name], [held == 0, held == 1])
    assert torch.equal(done[:, held], actions[:, held])
    assert (done[:, 1 - held] - actions[:, 1 - held]).abs().median() < 0.1
    assert (done[:, 1 - held].sign() == actions[:, 1 - held].sign()).float().mean() > 0.95


def test_the_explicit_policy_does_the_mean_of_both(taught: dict[str, TorchAssistant]) -> None:
    actions, done = answers(taught["explicit"], [False, False])
    assert done.abs().max() < 0.2
    assert (done.abs() - actions.abs())[:, 0].abs().mean() > 0.4


def test_a_fresh_assistant_repeats_itself() -> None:
    seen = observation()
    first, same, other = (ibc(seed=seed) for seed in (3, 3, 4))
    for assistant in (same, other):
        assistant.load_state_dict(first.state_dict())
    before = torch.get_rng_state()
    draws = [first.predict(seen)[0] for _ in range(2)]
    np.testing.assert_array_equal(draws, [same.predict(seen)[0] for _ in range(2)])
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], other.predict(seen)[0])
    assert torch.equal(torch.get_rng_state(), before)


TINY = ["evaluation.episodes=0", "model.width=16", "model.depth=2", "training.validate_every=3", "schedule=constant"]


@pytest.mark.parametrize("name", ["ibc", "ibc-derivative-free", "explicit-bc"])
def test_training_goes_on_where_it_stopped_and_loads(d4rl_file: Path, tmp_path: Path, name: str) -> None:
    """The averaged weights, the buffers of spectral norm and the scale of the actions are all in the files."""
    data = [*TINY, f"assistant={name}", "data=d4rl", f"data.path={d4rl_file}", "training.batch_size=16"]
    data += ["assistant.spectral=true"] if name == "ibc" else []
    whole = train(config(*data, "training.steps=6", f"run={tmp_path / 'whole'}"))
    part = train(config(*data, "training.steps=3", f"run={tmp_path / 'part'}"))
    part.config_file.write_text(part.config_file.read_text().replace("steps: 3\n", "steps: 6\n", 1))
    rest = train(config(f"resume={part.path}"))
    assert rest.metrics()[-1]["step"] == 6
    seen = {
        "state": np.random.default_rng(0).normal(size=(4, 30)).astype(np.float32),
        "operator_action": np.full((4, 9), 0.3, np.float32),
        "operator_mask": np.arange(9) < np.array([[0], [3], [7], [9]]),
    }
    np.testing.assert_array_equal(*(load_assistant(run.path).predict(seen)[0] for run in (whole, rest)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sampler": "foo"}, "unknown sampler 'foo'; the valid ones are Langevin(...) and DerivativeFree(...)"),
        ({"negatives": 0}, "negatives must be a whole number of at least 1, got 0"),
        ({"negatives": -8}, "negatives must be a whole number of at least 1, got -8"),
        ({"penalty": -1.0}, "penalty must be a number of at least 0, got -1.0"),
        ({"margin": "wide"}, "margin must be a number of at least 0, got 'wide'"),
        ({"buffer": -0.1}, "buffer must be a number of at least 0, got -0.1"),
        ({"depth": 3}, "depth must be even, since two layers make a residual block, got 3"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        ibc(**options)
    assert str(caught.value) == sentence


def test_the_presets_of_the_paper() -> None:
    from hydra.utils import instantiate

    cfg = config("assistant=ibc", "model=paper")
    settings, sampler = instantiate(cfg.training), instantiate(cfg.assistant).sampler
    assert (cfg.assistant.width, cfg.assistant.depth, cfg.assistant.negatives) == (512, 8, 8)
    assert (settings.steps, settings.batch_size, settings.learning_rate, settings.keep) == (100_000, 512, 5e-4, "last")
    assert [settings.schedule(step, 1) for step in (0, 99, 100, 250)] == [1, 1, 0.99, 0.99**2]
    assert sampler == Langevin()
    cfg = config("assistant=explicit-bc", "model=paper")
    settings = instantiate(cfg.training)
    assert (cfg.assistant.width, cfg.assistant.depth, cfg.assistant.dropout) == (2048, 8, 0.1)
    assert (settings.learning_rate, settings.schedule(200, 1), settings.weight_decay) == (1e-3, 0.99, 0)
