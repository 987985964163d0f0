"""The two assistants built on diffusion."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.diffusion import DiffusionAssistant
from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.types import UserError
from tests.assistants import World, randomise
from tests.laws import generator

torch.set_num_threads(1)
STATE, DIM = 5, 4


def assistant(kind: type[TorchAssistant] = DiffusionAssistant, **options: Any) -> Any:
    return randomise(kind(STATE, DIM, **{"width": 16, "depth": 2, **options}))  # type: ignore[arg-type]


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
