"""Recording an operator alone in its world, once, and training on what it did, as a person does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import minari
import numpy as np
import pytest

from autonomy.data.minari import MinariSource
from autonomy.run_directory import RunDirectory
from autonomy.types import Array, Demonstrations, UserError
from envs.operators import ProxyOperator
from envs.record import record_operator
from eval.episodes import read_episodes
from tests.refusals import Refused

Program = Callable[..., CompletedProcess[str]]
REACH = {"_target_": "envs.gym.GymWorld", "id": "autonomy/reach-v1", "objects": 2, "max_episode_steps": 6}
POINTS = {"_target_": "envs.reach.ReachOperator"}
SMALL = ["training.steps=3", "training.validate_every=3", "model.width=8", "model.components=2"]
SMALL += ["evaluation.episodes=1", "evaluation.video=false", "evaluation.processes=1", "data.n_episodes=3"]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    return tmp_path / "store"


def record(**settings: Any) -> str:
    usual = {"n_episodes": 12, "seed": 3, "name": "reach", "world": REACH, "operator": POINTS}
    return record_operator(**{"dataset_id": None, **usual, **settings})


def read(id: str) -> Demonstrations:
    return MinariSource(id, intents="intent").load()


def test_the_same_settings_are_recorded_once_and_give_the_same_data(capsys: pytest.CaptureFixture[str]) -> None:
    id = record()
    assert id.startswith("autonomy/reach/operator-n12-seed3-")
    assert "recorded 12 episodes" in capsys.readouterr().out
    first = read(id)
    assert record() == id
    assert capsys.readouterr().out == ""
    minari.delete_dataset(id)
    assert record() == id
    again = read(id)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours.states, theirs.states)
        np.testing.assert_array_equal(ours.actions, theirs.actions)
    assert record(seed=4) != id
    assert record(world={**REACH, "objects": 3}) != id
    fewer = read(record(n_episodes=4))
    np.testing.assert_array_equal(fewer.episodes[3].states, first.episodes[3].states)


def test_steps_have_the_intent_that_the_action_is_for() -> None:
    demonstrations = read(record())
    assert demonstrations.intents == ("object 0", "object 1")
    assert [len(episode) for episode in demonstrations] == [6] * 12
    for episode in demonstrations:
        assert episode.intents is not None
        ways = episode.states.reshape(6, 2, 3)[np.arange(6), episode.intents]
        full = np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 0.2)
        np.testing.assert_allclose(episode.actions, ways / full, atol=1e-6)


def test_noise_is_executed_and_not_recorded() -> None:
    quiet, noisy = read(record()), read(record(noise=0.3))

    def moved(demonstrations: Demonstrations) -> tuple[np.ndarray, np.ndarray]:
        episode = demonstrations.episodes[0]
        return episode.states[:-1, :3] - episode.states[1:, :3], 0.2 * episode.actions[:-1]

    np.testing.assert_allclose(*moved(quiet), atol=1e-5)
    assert np.abs(np.subtract(*moved(noisy))).max() > 0.02
    np.testing.assert_array_equal(noisy.episodes[0].states[0], quiet.episodes[0].states[0])


class Still(ProxyOperator):
    """Does nothing, and says nothing of what it is after."""

    def __init__(self, dim: int) -> None:
        super().__init__("still")
        self._dim = dim

    def reset(self, index: int, rng: np.random.Generator, mask: Any) -> None:
        """Begin an episode, of which there is nothing to remember."""

    def act(self, states: Array, simulators: Any) -> Array:
        return np.zeros((len(states), self._dim), np.float32)


def test_an_operator_without_a_plan_leaves_no_labels() -> None:
    still = {"_target_": f"{__name__}.Still", "dim": 3}
    assert read(record(operator=still, n_episodes=2)).intents == ()


def test_actions_are_in_the_robots_units() -> None:
    swing = {"_target_": "envs.gym.GymWorld", "id": "Pendulum-v1", "max_episode_steps": 5}
    random = {"_target_": "envs.operators.RandomOperator", "dim": 1}
    demonstrations = read(record(name="pendulum", world=swing, operator=random))
    largest = max(float(np.abs(episode.actions).max()) for episode in demonstrations)
    assert 1.5 < largest <= 2.0  # a torque in N m


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_episodes": 0}, "n_episodes must be a whole number of at least 1, got 0"),
        ({"noise": -1}, "noise of recorded demonstrations must be a number of at least 0, got -1"),
        ({"noise": "loud"}, "noise of recorded demonstrations must be a number of at least 0, got 'loud'"),
        ({"world": None}, "env=reach has no simulator"),
        ({"operator": None}, "env=reach has no demonstrator"),
        ({"dataset_id": "no id"}, "is not a Minari id"),
    ],
)
def test_wrong_settings_are_one_sentence_and_record_nothing(
    settings: dict[str, Any], sentence: str, store: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        record(**settings)
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_an_id_is_kept_for_its_settings() -> None:
    assert record(dataset_id="test/mine-v0") == "test/mine-v0"
    with pytest.raises(UserError, match=r"was recorded with other settings \(seed\)"):
        record(dataset_id="test/mine-v0", seed=9)


def test_failures_are_not_recorded() -> None:
    fetch = {"_target_": "envs.gym.GymWorld", "id": "gymnasium_robotics:FetchReach-v4", "max_episode_steps": 3}
    with pytest.raises(UserError, match=r"only \d of \d+ demonstrations were a success; lower the noise"):
        record(world=fetch, operator={"_target_": f"{__name__}.Still", "dim": 4}, n_episodes=3)


def test_training_on_what_the_arm_did_ends_with_its_cases(program: Program, tmp_path: Path) -> None:
    """A filter over the named regions is trained, and played with the operators and channels of env.cases."""
    done = program("autonomy.train", "env=fetch", "data=operator", *SMALL, f"run={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    config = RunDirectory.open(tmp_path / "run").config()
    assert config.intent.mode == "filter"
    assert set(config.intents) <= {"high", "left near", "left far", "right near", "right far"}
    records = read_episodes(tmp_path / "run" / "episodes.jsonl")
    played = [(record.operator, record.channels) for record in records]
    assert played == [(operator, channels) for operator, channels, *_ in config.env.cases]
    assert {record.success for record in records} <= {False, True}
    assert [record.length for record in records] == [50] * 4


def test_training_on_what_the_hand_did_and_playing_beside_it(program: Program, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = program("autonomy.train", "env=reach", "data=operator", *SMALL, "evaluation.episodes=0", f"run={run}")
    assert done.returncode == 0, done.stderr
    assert list(RunDirectory.open(run).config().intents) == ["object 0", "object 1", "object 2"]
    rest = ["channels=[2]", "episodes=1", "processes=1", f"out={tmp_path / 'out'}"]
    done = program("eval.rollout", f"run={run}", "operator=reach", *rest)
    assert done.returncode == 0, done.stderr
    (record,) = read_episodes(tmp_path / "out" / "episodes.jsonl")
    assert (record.mask, record.length) == ((0, 0, 1), 40)
    assert record.intended[0].startswith("object ")
    assert record.belief_right is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["env=kitchen-mixed"], "env=kitchen-mixed has no demonstrator, so there is nothing to record"),
        (["env=recorded"], "env=recorded has no simulator, so there is nothing to record"),
        (["env=reach", "env.demonstrator.speed=1"], "unknown key 'speed' in env.demonstrator"),
        (["env=fetch", "env.demonstrator.jitter=2"], "jitter must be a number from 0 to 1, got 2"),
        (["env=reach", "env.objects=1"], "the number of objects must be a whole number of at least 2"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(refused: Refused, arguments: list[str], words: str) -> None:
    assert words in refused("autonomy.data", "data=operator", *arguments)
