"""The committee: independent copies of a policy, each with its own rows, draws and memory, that answer together."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.bc import BC
from autonomy.assistants.committee import Committee
from autonomy.assistants.recurrent_bc import RecurrentBC
from autonomy.batches import Rows
from autonomy.configs import CONFIGS
from autonomy.density.masks import CardinalityMasks
from autonomy.fit import TrainingSettings, fit
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from tests.assistants import BUILDERS, DIM, STATE, observation, randomise, rows
from tests.laws import generator

torch.set_num_threads(1)


def committee(name: str = "bc", members: int = 3) -> Committee:
    """Its members are as random as `randomise` makes them, and differ."""
    policies = Committee(BUILDERS[name], members)
    with torch.no_grad():
        for scale, member in enumerate(policies.policies, 1):
            for weight in randomise(member).parameters():
                weight.mul_(1 + 0.2 * scale)
    return policies.eval()


@pytest.mark.parametrize("name", ["bc", "conditional-bc", "diffusion"])
def test_the_answer_is_the_mean_of_the_members(name: str) -> None:
    policies, seen = committee(name), observation()
    actions, state = policies.predict(seen)
    alone = committee(name)
    answers = np.stack([member.predict(seen)[0] for member in alone.policies])  # type: ignore[operator]
    held = seen["operator_mask"]
    np.testing.assert_allclose(actions[~held], answers.mean(0)[~held], atol=1e-6)
    assert actions[held].tobytes() == seen["operator_action"][held].tobytes()
    assert (answers.std(0)[~held] > 0).all()
    assert state == (None, None, None)
    free = [torch.from_numpy(seen[key]) for key in ("state", "operator_action", "operator_mask")]
    with torch.no_grad():
        np.testing.assert_allclose(committee(name).complete(*free)[~held], actions[~held], atol=1e-6)


def test_each_member_learns_from_its_own_part_of_the_batch() -> None:
    policies, (states, actions) = committee(), rows(60)
    parts = zip(states.split(20), actions.split(20), strict=True)
    losses = [member.loss(*part, generator()) for member, part in zip(policies.policies, parts, strict=True)]  # type: ignore[operator]
    assert policies.training_loss(Rows(states, actions), generator()).item() == pytest.approx(sum(losses).item() / 3)


class Watching(BC):
    """Keeps what it was trained on and what it was validated on."""

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        self.seen = getattr(self, "seen", [])
        self.seen.append((self.training, states))
        return super().loss(states, actions, generator)


def test_the_loop_gives_each_member_a_batch_and_validates_all_on_all_rows(tmp_path: Path) -> None:
    policies = Committee(lambda: Watching(STATE, DIM, width=8, depth=2), 3)
    run = RunDirectory.create(tmp_path / "run", OmegaConf.create({"env": {}, "assistant": {}}))
    fit(policies, Rows(*rows(50)), Rows(*rows(20)), TrainingSettings(steps=1, batch_size=7), run)
    for member in policies.policies:
        assert [(training, len(states)) for training, states in member.seen] == [(True, 7), (False, 20)]  # type: ignore[union-attr]
        assert torch.equal(member.seen[1][1], rows(20)[0])  # type: ignore[union-attr, index]
    first, second, _ = (member.seen[0][1] for member in policies.policies)  # type: ignore[union-attr, index]
    assert not torch.equal(first, second)


def test_members_that_draw_do_so_apart() -> None:
    policies = Committee(BUILDERS["diffusion"], 2)
    seeds = [member._generator.initial_seed() for member in policies.policies]  # type: ignore[union-attr, operator]
    assert seeds == [0, 1]


def test_members_remember_on_their_own() -> None:
    policy = partial(RecurrentBC, STATE, DIM, CardinalityMasks(DIM), window=4, width=16, depth=2)
    policies, seen = Committee(policy, 2).eval(), observation()
    assert policies.window == 4
    _, state = policies.predict(seen)
    actions, _ = policies.predict(seen, state)
    alone = [member.predict(seen, own)[0] for member, own in zip(policies.policies, state, strict=True)]  # type: ignore[operator]
    np.testing.assert_allclose(actions, np.mean(alone, 0), atol=1e-6)
    with pytest.raises(UserError, match="must be None or the 2 states that it returned"):
        policies.predict(seen, state[:1])


@pytest.mark.parametrize("name", ["bc", "conditional-bc", "recurrent-bc", "diffusion", "ibc", "mac"])
def test_a_configuration_makes_members_that_share_nothing(name: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        small = ["model.width=16", "model.depth=2", "model.components=3"]
        config = compose("train", [f"assistant={name}", *small])
    torch.manual_seed(0)
    first, second = Committee(partial(instantiate, config.assistant), 2).policies
    assert not [key for key, own in vars(first).items() if key == "masks" and own is second.masks]
    ours, theirs = ({weight.data_ptr() for weight in member.parameters()} for member in (first, second))
    assert not ours & theirs
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in pairs)


def test_members_that_share_weights_are_refused() -> None:
    one: TorchAssistant = BC(STATE, DIM, width=8, depth=2)
    with pytest.raises(UserError, match="the members share weights"):
        Committee(lambda: one, 2)
