"""Any Gymnasium environment as a world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from autonomy.types import ActionBox, UserError
from envs.gym import GymWorld

CHEETAH = "HalfCheetah-v5"


class Crane(gymnasium.Env[Any, Any]):
    """Counts its steps; its actions are metres in [0, 4], and it breaks where `breaks` says."""

    metadata: ClassVar = {"render_modes": [], "render_fps": 10}

    def __init__(self, breaks: int | None = None, render_mode: str | None = None, **spaces_: Any) -> None:
        self.breaks, self.render_mode = breaks, render_mode
        vector = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = spaces_.get("actions", spaces.Box(0.0, 4.0, (3,), np.float32))
        self.observation_space = spaces_.get("observations", spaces.Dict({"load": vector, "goal": vector}))

    def _seen(self) -> dict[str, Any]:
        broken = self.steps == self.breaks and self.seed % 2 == 1
        return {"load": np.full(2, np.nan if broken else self.steps), "goal": np.full(2, self.seed % 7)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seed, self.steps = int(seed or 0), 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.action = action
        return self._seen(), float(action[0]), self.steps == 4, False, {"is_success": self.steps == 4, "noise": 3}


@pytest.fixture(autouse=True)
def crane() -> Iterator[None]:
    gymnasium.register("Crane-v0", Crane)
    yield
    del gymnasium.registry["Crane-v0"]


def test_it_plays_as_gymnasium_does() -> None:
    world, plain = GymWorld(2, CHEETAH), gymnasium.make(CHEETAH)
    world.stage([5])
    states = world.reset()
    np.testing.assert_array_equal(states[0], np.float32(plain.reset(seed=5)[0]))
    for action in np.random.default_rng(0).uniform(-1, 1, (5, 6)).astype(np.float32):
        states, rewards, dones, infos = world.step(np.tile(action, (2, 1)))
        observation, reward, *_ = plain.step(action)
        np.testing.assert_allclose(states[0], observation, rtol=1e-5, atol=1e-6)
        assert rewards[0] == pytest.approx(reward, rel=1e-5)
        assert (infos[0]["seed"], dones.tolist(), rewards[1]) == (5, [False, False], 0.0)
    assert world.period == pytest.approx(0.05)
    assert world.labels[:2] == ("bthigh", "bshin")
    assert (world.tasks, world.score.name) == ((), "return")


def test_actions_are_rescaled_and_dicts_laid_end_to_end() -> None:
    world = GymWorld(1, "Crane-v0", channels={"hook": [2]})
    world.stage([3])
    np.testing.assert_array_equal(world.reset(), [[3, 3, 0, 0]])  # Gymnasium sorts the keys of a Dict
    states, _, _, infos = world.step(np.array([[-1.0, 0.0, 9.0]], np.float32))
    np.testing.assert_allclose(world.simulators[0].action, [0, 2, 4])
    np.testing.assert_array_equal(states, [[3, 3, 1, 1]])
    assert infos[0] == {"seed": 3, "completed": (), "success": False, "TimeLimit.truncated": False, "period": 0.1}
    assert (world.period, world.labels) == (0.1, ("action 0", "action 1", "action 2"))
    assert world.channels == {"hook": (2,)}
    assert world.box == ActionBox((0.0,) * 3, (4.0,) * 3)
    assert GymWorld(1, "Crane-v0", keys=["goal"]).observation_space.shape == (2,)


def test_episodes_end_by_themselves_or_late_and_the_next_ones_begin() -> None:
    world = GymWorld(2, "Crane-v0")
    world.seed(0)
    world.reset()
    ends = [world.step(np.zeros((2, 3), np.float32)) for _ in range(4)][-1]
    assert ends[2].tolist() == [True, True]
    assert [info["success"] for info in ends[3]] == [True, True]
    np.testing.assert_array_equal(ends[3][1]["terminal_observation"], [1, 1, 4, 4])
    assert ends[0][:, 2].tolist() == [0, 0]
    short = GymWorld(1, "Crane-v0", max_episode_steps=2)
    short.reset()
    infos = [short.step(np.zeros((1, 3), np.float32))[3][0] for _ in range(2)]
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]


def test_an_observation_that_is_not_finite_ends_its_episode_and_no_other() -> None:
    world = GymWorld(2, "Crane-v0", breaks=2)
    world.stage([1, 2])
    world.reset()
    world.step(np.zeros((2, 3), np.float32))
    states, rewards, dones, infos = world.step(np.ones((2, 3), np.float32))
    assert dones.tolist() == [True, False]
    assert "not finite in step 2" in infos[0]["world_error"]
    assert "world_error" not in infos[1]
    assert np.isfinite(states).all()
    assert rewards.tolist() == [0.0, 4.0]
    broken = GymWorld(2, "Crane-v0", breaks=0)
    broken.stage([1, 2])
    with pytest.raises(UserError, match="begins with a state that is not finite"):
        broken.reset()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id": "Crane-v7"}, "Crane-v7.*cannot be made"),
        ({"id": "no_such_package:Crane-v0"}, "no_such_package"),
        ({"id": "CartPole-v1"}, "Discrete.*supported are vectors"),
        ({"actions": spaces.Box(-np.inf, np.inf, (3,))}, "without bounds"),
        ({"observations": spaces.Box(0, 255, (8, 8, 3), np.uint8)}, "images are not"),
        ({"observations": spaces.Dict({"eye": spaces.Box(0, 255, (8, 8, 3), np.uint8)})}, "observation eye"),
        ({"keys": ["lode"]}, "no observation 'lode'; its keys are .*load"),
        ({"wind": 3, "id": CHEETAH}, "wind"),
        ({"labels": ["a"]}, "3 different names"),
        ({"channels": {"hook": [3]}}, "'hook'.*0 to 2"),
        ({"max_episode_steps": 0}, "max_episode_steps must be a whole number of at least 1"),
    ],
)
def test_what_is_not_supported_is_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        GymWorld(1, **{"id": "Crane-v0", **options})
    assert "\n" not in str(caught.value)
