"""Losses of BC and conditional BC, and what MAC makes of its density."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autonomy.assistants.conditional_bc import ConditionalBC
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.zero import ZeroAssistant
from autonomy.channels import FixedChannels
from autonomy.density.masks import CardinalityMasks, ChannelMasks
from autonomy.density.protocols import MarginalProtocol
from tests.assistants import DIM, STATE, build, mac, observation, randomise, rows
from tests.laws import generator

torch.set_num_threads(1)


def test_bc_s_loss_is_the_mean_squared_error() -> None:
    assistant = build("bc")
    states, actions = rows()
    assistant.fit_normaliser(states * 3, actions)
    answers = assistant.complete(states, actions, torch.zeros_like(actions).bool())
    expected = ((answers - actions) ** 2).mean().item()
    assert assistant.loss(states, actions, generator()).item() == pytest.approx(expected)


def test_conditional_bc_is_trained_on_the_missing_dimensions_alone() -> None:
    masks = ChannelMasks(DIM, FixedChannels([0, 2], DIM))
    assistant = randomise(ConditionalBC(STATE, DIM, masks, width=16, depth=2))
    states, actions = rows()
    held = masks.sample(len(states), generator())
    answers = assistant.complete(states, actions, held)
    loss = assistant.loss(states, actions, generator())
    assert loss.item() == pytest.approx(((answers - actions)[:, [1, 3]] ** 2).mean().item())
    loss.backward()
    assert isinstance(assistant, ConditionalBC)
    gradient = assistant.trunk.exit.bias.grad
    assert gradient is not None
    assert (gradient != 0).tolist() == [False, True, False, True]


def test_conditional_bc_weighs_missing_values_alike() -> None:
    """A mean over missing values of the batch, not over rows; a batch with none missing costs nothing."""
    assistant = build("conditional-bc")
    states, actions = rows()
    mask = CardinalityMasks(DIM).sample(len(states), generator(3))
    error = (assistant.complete(states, actions, mask) - actions)[~mask]
    assert assistant.loss(states, actions, generator(3)).item() == pytest.approx((error**2).mean().item(), rel=1e-5)
    full = randomise(ConditionalBC(STATE, DIM, ChannelMasks(DIM, FixedChannels(range(DIM), DIM)), width=16, depth=2))
    assert full.loss(states, actions, generator()).item() == 0


def test_the_network_s_dropout_is_the_one_that_was_asked_for() -> None:
    modules = mac(dropout=0.4).modules()
    assert {module.p for module in modules if isinstance(module, torch.nn.Dropout)} == {0.4}


def test_mac_s_loss_is_its_density_s_of_normalised_states() -> None:
    assistant = build("mac-mean")
    assert isinstance(assistant, DensityAssistant)
    states, actions = rows()
    assistant.fit_normaliser(states * 3 + 1, actions)
    expected = assistant.density.loss(actions, assistant.normaliser(states), generator(4)).item()
    assert assistant.loss(states, actions, generator(4)).item() == expected


def test_mac_is_covered_by_its_own_protocol_and_says_when_another_is_not() -> None:
    assert mac().coverage().untrained == 0
    narrow = mac(masks=ChannelMasks(DIM, FixedChannels([0], DIM)))
    assert narrow.coverage().untrained == 0
    elsewhere = narrow.coverage(ChannelMasks(DIM, FixedChannels([2], DIM)))
    assert elsewhere.untrained == 2 / 3  # {2} and {0, 2}, but {0, 1, 2} is on the path from {0}
    assert [node for node, _ in elsewhere.nodes] == [(0, 2), (2,)]
    marginal = mac(protocol=MarginalProtocol(CardinalityMasks(DIM, 1)))
    assert 0.2 < marginal.coverage().untrained < 0.6
    assert build("bc").coverage() is None


def test_intent_scores_do_not_depend_on_what_the_operator_does_not_hold() -> None:
    assistant = build("mac-component")
    assert isinstance(assistant, DensityAssistant)
    states, actions = rows()
    mask = torch.tensor([False, True, False, True]).expand(len(states), -1)
    assert torch.equal(
        assistant.intent_score(states, actions, mask),
        assistant.intent_score(states, torch.where(mask, actions, torch.nan), mask),
    )
    assert torch.equal(assistant.intent_score(states, actions, mask & False), torch.zeros(len(states)))


def test_the_zero_assistant_stands_still() -> None:
    seen = observation()
    action, _ = ZeroAssistant().predict(seen)
    mask = seen["operator_mask"]
    assert action.dtype == np.float32
    assert action[mask].tobytes() == seen["operator_action"][mask].tobytes()
    assert not action[~mask].any()
