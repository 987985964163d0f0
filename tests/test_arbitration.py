"""Arbitration as a strategy of shared control, masks that change in mid-episode, and an operator that is asked anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

import envs
from autonomy.channels import FixedChannels
from autonomy.types import Array, Mask, UserError
from envs.arbitration import DIMS, Arbitration, Blend, Off, arbitration_of
from envs.shared_control import SharedControl

WISH = np.array([[0.3, 1.7, -0.9], [-0.2, 0.1, 0.6]], np.float32)
"""The assistant's, which lies partly beyond the box."""


class Mind:
    """An operator whose wish is set by hand; `asked` is how often it was."""

    name = "mind"
    wish, asked = np.float32(0.5), 0

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None: ...

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        self.asked += 1
        return np.full((len(states), 3), self.wish, np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return ()


def shared(**options: Any) -> SharedControl:
    reach = DummyVecEnv([lambda: gymnasium.make("autonomy/reach-v1")] * 2)
    return SharedControl(reach, Mind(), FixedChannels([0], dim=3), **options)


@pytest.mark.parametrize(
    ("arbitration", "executed"),
    [
        (DIMS, [[0.5, 1.0, -0.9], [0.5, 0.1, 0.6]]),
        (Blend(0.25), [[0.25 * 0.5 + 0.75 * 0.3, 1.0, -0.9], [0.25 * 0.5 - 0.75 * 0.2, 0.1, 0.6]]),
        (Off(), [[0.5, 0, 0], [0.5, 0, 0]]),
    ],
)
def test_one_action_is_made_of_two_wishes(arbitration: Arbitration, executed: list[list[float]]) -> None:
    world = shared(arbitration=arbitration)
    world.reset()
    _, _, _, infos = world.step(WISH)
    assert np.allclose([info["executed_action"] for info in infos], executed)
    assert all(info["operator_action"].tolist() == [0.5] * 3 for info in infos)
    assert np.array_equal([info["assistant_action"] for info in infos], WISH)


def test_each_moves_its_own_bit_for_bit_unless_told_otherwise() -> None:
    world = shared()
    world.reset()
    _, _, _, infos = world.step(WISH)
    assert world.arbitration is DIMS
    assert infos[1]["executed_action"].tolist() == [np.float32(0.5), *WISH[1, 1:].tolist()]


def test_a_mask_changes_in_mid_episode_and_the_next_episode_has_its_own() -> None:
    world = shared()
    world.reset()
    world.hold(np.array([[False, True, True], [True, False, False]]))
    assert world.observe()["operator_mask"].tolist() == [[0, 1, 1], [1, 0, 0]]
    for _ in range(envs.REACH_STEPS):
        observation, _, dones, infos = world.step(WISH)
        assert infos[0]["executed_action"].tolist() == [WISH[0, 0], 0.5, 0.5]
    assert dones.all()
    assert infos[0]["terminal_observation"]["operator_mask"].tolist() == [0, 1, 1]
    assert observation["operator_mask"].tolist() == [[1, 0, 0]] * 2
    with pytest.raises(UserError, match=r"the mask must have the shape \(2, 3\), got \(3,\)"):
        world.hold(np.ones(3, np.bool_))


def test_an_operator_that_changes_its_mind_is_asked_anew() -> None:
    world = shared()
    first, mind = world.reset(), world.operator
    assert isinstance(mind, Mind)
    mind.wish = np.float32(-0.75)
    again = world.observe()
    assert mind.asked == 2
    assert np.array_equal(first["state"], again["state"])
    assert again["operator_action"].tolist() == [[-0.75, 0, 0]] * 2
    assert world.command.tolist() == [[-0.75] * 3] * 2
    mind.wish = np.float32(np.nan)
    for _ in range(3):
        world.observe()
    _, _, _, infos = world.step(WISH)
    assert [info["operator_errors"] for info in infos] == [1, 1], "a refused command counts when it would be executed"
    assert infos[0]["executed_action"][0] == 0


def test_arbitrations_that_cannot_be_are_refused() -> None:
    assert arbitration_of("blend", 0.2) == Blend(0.2)
    assert arbitration_of("off") == Off()
    with pytest.raises(UserError, match="unknown arbitration 'duel'; the valid ones are dims, blend, off"):
        arbitration_of("duel")
    with pytest.raises(UserError, match=r"weight must be a number of at least 0 and at most 1, got 1\.5"):
        Blend(1.5)
