"""What assistants learn from a world in which two ways of acting are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.bc import BC
from autonomy.assistants.conditional_bc import ConditionalBC
from autonomy.assistants.density import DensityAssistant
from autonomy.density.masks import CardinalityMasks
from tests.assistants import DIM, STATE, World, mac
from tests.laws import generator

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> dict[str, TorchAssistant]:
    """BC, ConditionalBC and MAC, each after a few hundred steps in the world."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assistants: dict[str, TorchAssistant] = {
            "bc": BC(STATE, DIM, 32, 2),
            "conditional-bc": ConditionalBC(STATE, DIM, CardinalityMasks(DIM), 32, 2),
            "mac": mac("component", regression=0.0, width=32, components=4, floor=0.02),
        }
    for assistant in assistants.values():
        drawing = generator(5)
        assistant.fit_normaliser(*World().sample(2000, drawing))
        optimiser = torch.optim.Adam(assistant.parameters(), 5e-3)
        for _ in range(300):
            optimiser.zero_grad()
            assistant.loss(*World().sample(256, drawing), drawing).backward()
            optimiser.step()
        assistant.eval()
    return assistants


def errors(assistant: TorchAssistant, held: list[int]) -> NDArray[np.float64]:
    """Root mean square of each row's error in the dimensions that the operator leaves."""
    states, actions = World().sample(500, generator(6))
    mask = np.tile(np.isin(np.arange(DIM), held), (500, 1))
    filled, _ = assistant.predict({"state": states.numpy(), "operator_action": actions.numpy(), "operator_mask": mask})
    missing = [dim for dim in range(DIM) if dim not in held]
    error: NDArray[np.float64] = np.sqrt(((filled - actions.numpy())[:, missing] ** 2).mean(axis=1))
    return error


@pytest.mark.parametrize("held", [[0], [3], [1, 2]])
def test_one_value_of_the_operator_tells_which_way_is_meant(
    trained: dict[str, TorchAssistant], held: list[int]
) -> None:
    """BC averages the two ways; those who listen follow the operator."""
    assert np.median(errors(trained["bc"], held)) > 0.4
    assert np.median(errors(trained["conditional-bc"], held)) < 0.15
    assert np.median(errors(trained["mac"], held)) < 0.15


def test_alone_only_mac_commits_to_one_way(trained: dict[str, TorchAssistant]) -> None:
    states, actions = World().sample(500, generator(6))
    nothing = {"operator_action": np.zeros((500, DIM)), "operator_mask": np.zeros((500, DIM), bool)}
    away = {
        name: np.abs(np.abs(assistant.predict({"state": states.numpy(), **nothing})[0]) - actions.abs().numpy()).mean()
        for name, assistant in trained.items()
    }
    assert away["mac"] < 0.12
    assert away["bc"] > 0.3
    assert away["conditional-bc"] > 0.3


@pytest.mark.parametrize("held", [[0], [1, 3], [0, 1, 2, 3]])
def test_intent_scores_tell_demonstrated_actions_from_shuffled_ones(
    trained: dict[str, TorchAssistant], held: list[int]
) -> None:
    assistant = trained["mac"]
    assert isinstance(assistant, DensityAssistant)
    states, actions = World().sample(1000, generator(8))
    mask = torch.isin(torch.arange(DIM), torch.tensor(held)).expand(1000, -1)
    own = assistant.intent_score(states, actions, mask)
    shuffled = assistant.intent_score(states, actions.roll(1, 0), mask)
    assert own.shape == (1000,)
    assert not own.requires_grad
    assert (own.mean() - shuffled.mean()).item() > 1.0
    assert (own > shuffled).float().mean() > 0.75
