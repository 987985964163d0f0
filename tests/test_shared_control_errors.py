"""Commands and actions that shared control refuses, and what then goes on."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from autonomy.channels import FixedChannels
from autonomy.types import UserError
from envs.operators import ZeroOperator
from envs.shared_control import SharedControl
from tests.drift import DIM, MARK, Scripted, assistance, control, drifts


@pytest.mark.parametrize("bad", [[np.nan, 0, 0], [0, np.inf, 0]])
def test_a_command_that_is_not_finite_is_refused_and_the_others_go_on(bad: list[float]) -> None:
    operator = Scripted(np.array([[0.5] * DIM, bad, [0.5] * DIM], np.float32))
    shared = control(3, operator, [0, 1])
    observation = shared.reset()
    assert observation["operator_action"].tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0.5, 0.5, 0]]
    _, _, _, infos = shared.step(assistance(3))
    assert "NaN or infinity in dimensions" in infos[1]["operator_error"]
    assert infos[1]["executed_action"].tolist() == [0, 0, np.float32(MARK)]
    assert [info["operator_errors"] for info in infos] == [0, 1, 0]
    for i in (0, 2):
        assert "operator_error" not in infos[i]
        assert infos[i]["executed_action"].tolist() == [0.5, 0.5, np.float32(MARK)]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (np.zeros((2, DIM + 1)), [0, 1]),
        (np.zeros((3, DIM)), [0, 1]),
        (np.zeros(DIM), [0, 1]),
        (np.zeros(2), [0, 1]),
        (np.float32(0), [0, 1]),
        (None, [0, 1]),
        ([[0.5] * DIM, [0.5]], [1]),
        ([None, [0.5] * DIM], [0]),
        ([["left", "right", "up"], [0.5] * DIM], [0]),
        ([[0.5, [1, 2], 0.5], [0.5] * DIM], [0]),
    ],
)
def test_a_command_of_the_wrong_shape_is_refused(answer: Any, refused: list[int]) -> None:
    shared = control(2, Scripted(answer), [0, 1, 2])
    shared.reset()
    _, _, _, infos = shared.step(assistance(2))
    for i, info in enumerate(infos):
        assert ("operator_error" in info) == (i in refused)
        assert info["executed_action"].tolist() == ([0.0] * DIM if i in refused else [0.5] * DIM)
    assert "3 finite numbers for each of 2 environments" in infos[refused[0]]["operator_error"]


def test_the_mark_stays_for_the_episode_and_goes_with_it() -> None:
    operator = Scripted(np.full((1, DIM), np.nan))
    shared = control(1, operator)
    shared.reset()
    operator.answer = np.zeros((1, DIM))
    counts, sentences, done = [], [], False
    while not done:
        _, _, dones, infos = shared.step(assistance(1))
        counts.append(infos[0]["operator_errors"])
        sentences.append("operator_error" in infos[0])
        done = bool(dones[0])
    assert set(counts) == {1}
    assert sentences == [True] + [False] * (len(counts) - 1)
    assert shared.step(assistance(1))[3][0]["operator_errors"] == 0


def test_nan_from_the_assistant_is_one_clear_error() -> None:
    shared = control(3, ZeroOperator(DIM))
    shared.reset()
    actions = assistance(3)
    actions[1, 1] = np.nan
    with pytest.raises(UserError, match=r"must be finite, got NaN or infinity in rows \[1\]"):
        shared.step(actions)


def test_actions_of_another_shape_from_the_assistant_are_one_clear_error() -> None:
    shared = control(3, ZeroOperator(DIM))
    shared.reset()
    with pytest.raises(UserError, match=r"shape \(3, 3\), got \(3, 2\)"):
        shared.step(np.zeros((3, 2)))


def test_what_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="channels are for 9 action dimensions, the environment has 3"):
        SharedControl(drifts(1), ZeroOperator(DIM), FixedChannels([0], 9))
    with pytest.raises(UserError, match="seed must be a whole number"):
        SharedControl(drifts(1), ZeroOperator(DIM), FixedChannels([0], DIM), seed=-1)
    with pytest.raises(UserError, match="action space, got Discrete"):
        SharedControl(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), ZeroOperator(1), FixedChannels([], 1))
    shared = control(1, ZeroOperator(DIM))
    with pytest.raises(UserError, match="observation space, got Dict"):
        SharedControl(shared, ZeroOperator(DIM), FixedChannels([0], DIM))


@pytest.mark.parametrize("tell", [["kettle", "kettle"], [""], [3], [["kettle"]]])
def test_what_to_tell_must_be_names(tell: Any) -> None:
    with pytest.raises(UserError, match="must be different names of tasks"):
        SharedControl(drifts(1), ZeroOperator(DIM), FixedChannels([0], DIM), tell=tell)
