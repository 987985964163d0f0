"""The belief filter against laws enumerated by hand, and the assistant that lives on it."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autonomy.assistants.bc import BC
from autonomy.batches import Rows
from autonomy.intent.assistant import IntentAssistant
from autonomy.intent.belief import BeliefFilter, BeliefState
from autonomy.intent.calibration import boldest, patience
from autonomy.intent.persistence import Persistence
from autonomy.types import UserError

INTENTS = ("pour", "stir")
D, S = 3, 2


def filter_of(**changes: float) -> BeliefFilter:
    """A filter over two intents and none of them, with plain evidence: no temper, hardly a floor."""
    made = BeliefFilter([True, True], change=1e-12, hysteresis=0.0)
    for name, value in {"temper": 1.0, "floor": 1e-12, **changes}.items():
        getattr(made, name).fill_(value)
    return made


def test_the_filter_is_the_forward_algorithm_of_a_small_markov_chain() -> None:
    drawing = torch.Generator().manual_seed(0)
    transition = torch.rand(3, 3, generator=drawing, dtype=torch.float64).softmax(1)
    evidence = torch.randn(4, 3, generator=drawing, dtype=torch.float64)
    evidence[:, 2] = -torch.inf  # "none of them" does anything at all, half of the time
    filtering, meant = filter_of(), torch.ones(1, 3, dtype=torch.bool)
    belief = filtering.first(meant)
    start = belief[0]
    for scores in evidence:
        prior = filtering.predicted(belief, torch.tensor([-1]), transition[None], meant)
        belief = filtering.updated(prior, scores[None], torch.tensor([2]))
    likelihood = evidence.exp()
    likelihood[:, 2] = 0.5 * 0.25  # over a box of two dimensions of length 2
    expected = torch.zeros(3, dtype=torch.float64)
    for path in itertools.product(range(3), repeat=5):
        mass = start[path[0]]
        for step, (before, now) in enumerate(itertools.pairwise(path)):
            mass = mass * transition[before, now] * likelihood[step, now]
        expected[path[-1]] += mass
    assert belief[0].tolist() == pytest.approx((expected / expected.sum()).tolist(), rel=1e-6)


def test_an_overdue_intent_is_let_go() -> None:
    filtering, meant = filter_of(), torch.ones(1, 3, dtype=torch.bool)
    sure, stays = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), torch.eye(3, dtype=torch.float64)[None]
    kept = filtering.predicted(sure, torch.tensor([-1]), stays, meant)
    loosened = filtering.predicted(sure, torch.tensor([0]), stays, meant)
    assert kept[0, 0] > 0.999
    assert loosened[0].tolist() == pytest.approx([0.8, 0.2, 0.0], abs=1e-6)  # to another intent, hardly to none of them


@pytest.mark.parametrize(
    ("belief", "before", "chosen"),
    [
        ([0.3, 0.2, 0.5], -1, 0),  # an intent, although none of them is likelier
        ([0.2, 0.1, 0.7], 0, 2),  # none of them, when it is surely meant
        ([0.3, 0.1, 0.6], 2, 0),  # and no longer than that
        ([0.3, 0.3, 0.4], 1, 1),
        ([0.0, 0.0, 1.0], -1, 2),
    ],
)
def test_which_intent_it_acts_for(belief: list[float], before: int, chosen: int) -> None:
    beliefs = torch.tensor([belief], dtype=torch.float64)
    assert filter_of().committed(beliefs, torch.tensor([before])).tolist() == [chosen]


def test_commands_that_no_intent_explains_speak_for_none_of_them() -> None:
    filtering = filter_of(floor=0.001)
    prior = torch.full((1, 3), 1 / 3, dtype=torch.float64)
    belief = filtering.updated(prior, torch.tensor([[-40.0, -50.0, -45.0]]), torch.tensor([2]))
    assert belief[0].argmax() == 2
    assert belief[0, 2] > 0.99


def test_patience_is_of_the_demonstrations_stretches() -> None:
    intents = torch.tensor([0] * 10 + [1] * 4 + [2] * 3 + [1] * 6)
    before = torch.cat([intents[:1], intents[:-1]])
    rows = Rows(torch.zeros(23, S), torch.zeros(23, D), intents, before, torch.arange(23) == 0)
    limits = patience(rows, 2)
    assert limits[0] == pytest.approx(10.0)
    assert 5 < limits[1] <= 6
    assert limits[2] == torch.inf


class Pointing(BC):
    """Moves every dimension to +0.5 for the first intent, to -0.5 for the second, and not when neither is known."""

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        return 0.5 * (states[:, S : S + 1] - states[:, S + 1 :]).expand(-1, D)


def test_the_largest_temper_within_one_standard_error_of_the_best_is_taken_with_its_best_floor() -> None:
    noise = torch.tensor([0.2, -0.2, 0.2, -0.2])  # the standard error of the difference to the best is 0.115
    scores = torch.tensor([-1.0, -0.5, -0.6, -0.59, -0.7])[:, None] + torch.tensor([0, 0, 1, 1, 1])[:, None] * noise
    assert boldest(scores, torch.tensor([0.1, 0.2, 0.3, 0.3, 0.4])) == 3
    assert boldest(scores[:2], torch.tensor([0.1, 0.2])) == 1


def assistant(mode: str = "filter") -> IntentAssistant:
    torch.manual_seed(0)
    persistence = partial(Persistence, width=64, members=2)
    made = IntentAssistant(Pointing(S + 2, D, 8, 2), INTENTS, persistence, mode=mode)
    made.evidence.deviation.fill_(0.2)
    return made.eval()


def observed(commands: Any, **more: Any) -> dict[str, Any]:
    commands = np.asarray(commands, np.float32)
    mask = np.zeros((len(commands), D), np.int8)
    mask[:, 0] = 1
    actions = np.zeros((len(commands), D), np.float32)
    actions[:, 0] = commands
    return {
        "state": np.zeros((len(commands), S), np.float32),
        "operator_action": actions,
        "operator_mask": mask,
        **more,
    }


def test_it_finds_out_what_the_operator_is_after_and_completes_for_it() -> None:
    made, state = assistant(), None
    for _ in range(10):
        actions, state = made.predict(observed([0.5, -0.5]), state)
    assert state.intent.tolist() == [0, 1]
    assert actions[:, 1:].tolist() == [[0.5, 0.5], [-0.5, -0.5]]
    assert state.belief.sum(1) == pytest.approx(1.0)


def test_rows_do_not_depend_on_the_rows_beside_them_and_an_episode_starts_afresh() -> None:
    made, state, alone = assistant(), None, None
    for step in range(6):
        _, state = made.predict(observed([0.5, -0.5, 0.1]), state, np.array([step == 3, False, False]))
        _, alone = made.predict(observed([-0.5]), alone)
    assert np.array_equal(state.belief[1], alone.belief[0])
    fresh = None
    for _ in range(3):
        _, fresh = made.predict(observed([0.5]), fresh)
    assert np.array_equal(state.belief[0], fresh.belief[0])


def test_a_gated_assistant_moves_in_proportion_to_how_sure_it_is() -> None:
    actions, state = assistant("gated").predict(observed([0.5, 0.0]))
    assert 0.5 < state.belief[0, 0] < 1
    assert actions[0, 1:] == pytest.approx(0.5 * state.belief[0, 0])
    assert np.abs(actions[1]).max() < 0.25  # no intent explains that command


@pytest.mark.parametrize(("mode", "acts"), [("filter", True), ("gated", True), ("told", False), ("none", False)])
def test_only_some_modes_act_on_the_belief(mode: str, acts: bool) -> None:
    assert assistant(mode).acts_on_belief is acts


def test_a_single_held_out_episode_has_no_standard_error() -> None:
    assert boldest(torch.tensor([[-0.5], [-0.6]]), torch.tensor([0.1, 0.2])) == 0


def test_a_gated_assistant_waits_for_nobody_where_nobody_holds_anything() -> None:
    alone = observed([0.0]) | {"operator_mask": np.zeros((1, D), np.int8)}
    assert np.array_equal(assistant("gated").predict(alone)[0], assistant().predict(alone)[0])


def test_an_intent_is_told_or_vetoed() -> None:
    made = assistant()
    _, told = made.predict(observed([0.5], intent=np.array([1])))
    assert told.belief[0].tolist() == [0, 1, 0]
    _, vetoed = made.predict(observed([0.5], veto=np.array([[True, False]])))
    assert vetoed.belief[0, 0] == 0
    actions, _ = assistant("told").predict(observed([0.5, 0.5], intent=np.array([1, -1])))
    assert actions[:, 1].tolist() == [-0.5, 0.0]


@pytest.mark.parametrize(
    ("more", "state", "sentence"),
    [
        ({"intent": np.array([2])}, None, "pour, stir"),
        ({"intent": np.array([0, 1])}, None, r"must be \(1,\)"),
        ({"veto": np.zeros((1, 3), bool)}, None, r"\(1, 2\)"),
        ({}, BeliefState(np.ones((1, 5)) / 5, np.zeros(1, np.int64), np.zeros(1, np.int64)), r"got \(1, 5\)"),
        ({}, np.ones((1, 3)), "BeliefState"),
    ],
)
def test_mistakes_are_sentences(more: dict[str, Any], state: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        assistant().predict(observed([0.5], **more), state)


def test_an_unknown_task_cannot_be_told() -> None:
    with pytest.raises(UserError, match=r"unknown intent 'fly'; the valid ones are pour, stir"):
        assistant().index("fly")
