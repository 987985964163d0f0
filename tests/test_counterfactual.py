"""Counterfactual rows: which parts of the state may come from another row, and which may not."""

import numpy as np
import pytest
import torch

from autonomy.intent.counterfactual import Counterfactual
from autonomy.types import UserError
from envs.kitchen import tasks as kitchen

CONCERNS = [(1,), (2, 3), ()]
ROWS = 4000


def batch(share: float = 0.5, seed: int = 0):
    """States that carry their row's number in every dimension, their intents (K = 3 unknown), and the result."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.arange(ROWS).float()[:, None].repeat(1, 5)
    intents = torch.randint(-1, 4, (ROWS,), generator=generator)
    told = torch.rand(ROWS, generator=generator) < 0.9
    return states, intents, told, Counterfactual(CONCERNS, 5, share)(states, intents, told, generator)


def test_only_what_other_intents_concern_comes_from_elsewhere():
    states, intents, told, result = batch()
    assert torch.equal(result[:, [0, 4]], states[:, [0, 4]])  # what no intent concerns
    assert torch.equal(result[intents == 0, 1], states[intents == 0, 1])  # what a row's own intent concerns
    assert torch.equal(result[intents == 1][:, [2, 3]], states[intents == 1][:, [2, 3]])
    unknown = ~told | (intents < 0) | (intents == 3)
    assert torch.equal(result[unknown], states[unknown])


@pytest.mark.parametrize(("intent", "dims"), list(enumerate(CONCERNS[:2])))
def test_a_part_comes_whole_from_a_row_that_is_not_for_its_intent(intent, dims):
    _, intents, told, result = batch()
    donors = result[:, dims].long()
    assert (donors == donors[:, :1]).all()
    moved = donors[:, 0] != torch.arange(ROWS)
    assert (intents[donors[moved, 0]] != intent).all()
    asked = told & (intents >= 0) & (intents < 3) & (intents != intent)
    expected = 0.5 * (intents != intent).float().mean()  # the share, where the row drawn is not for the intent
    assert abs(moved[asked].float().mean() - expected) < 0.05


@pytest.mark.parametrize("share", [0, 1])
def test_the_share_is_what_it_says(share):
    states, intents, told, result = batch(share)
    asked = told & (intents == 2)
    assert (result[asked, 1] != states[asked, 1]).float().mean() == pytest.approx(share * 0.8, abs=0.05)


def test_nothing_is_said_of_what_intents_concern():
    states, intents, told = torch.randn(8, 5), torch.zeros(8).long(), torch.ones(8, dtype=torch.bool)
    result = Counterfactual([()] * 3, 5)(states, intents, told, torch.Generator())
    assert torch.equal(result, states)


@pytest.mark.parametrize(
    ("concerns", "share", "said"),
    [([(5,)], 0.5, "concerns dimension 5, but the state's are 0 to 4"), ([()], 1.5, "intent.swap")],
)
def test_bad_input(concerns, share, said):
    with pytest.raises(UserError, match=said):
        Counterfactual(concerns, 5, share)


@pytest.mark.parametrize("obs", ["pose", "full"])
def test_the_kitchens_tasks_concern_the_positions_that_decide_them(obs):
    observation = np.zeros((1, {"pose": 30, "full": 59}[obs]))
    for task, dims in kitchen.concerns(obs).items():
        there = observation.copy()
        there[:, dims] = kitchen.GOALS[task][1]
        assert kitchen.done(kitchen.pose_of(there))[0].tolist() == [name == task for name in kitchen.TASKS]
