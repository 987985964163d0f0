"""The cockpit on other worlds than the kitchen: HalfCheetah's joints by sliders, worlds shown as pictures or not."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import spaces
from omegaconf import OmegaConf

from autonomy.assistants.zero import ZeroAssistant
from autonomy.data.minari import MinariSource
from autonomy.types import UserError
from eval.cockpit.devices import DeadMan, Sliders
from eval.cockpit.person import Person
from eval.cockpit.record import Recorder
from eval.cockpit.serve import compose_cockpit, make, serving
from eval.cockpit.session import Session
from eval.cockpit.stage import Stage, is_mujoco
from eval.cockpit.steering import Joints
from tests.cockpit import eventually
from tests.conftest import Program
from tests.test_worlds import CHEETAH, SMALL, recordings

JOINTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")


@pytest.fixture(scope="module")
def run(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cheetah")
    data = ["data=npz", f"data.path={recordings(home / 'cheetah.npz')}", "+env.channels.hind=[0,1,2]"]
    done = program("autonomy.train", *CHEETAH, *data, *SMALL, "evaluation.episodes=0", f"run={home / 'run'}")
    assert done.returncode == 0, done.stderr
    return home / "run"


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_a_slider_moves_a_joint_of_a_cheetah_and_the_session_is_data(run: Path) -> None:
    with serving(compose_cockpit([f"run={run}", "port=0", "seed=3"])) as (cockpit, page):
        assert cockpit.steering.labels == cockpit.stage.world.labels == JOINTS
        assert cockpit.loop._period == cockpit.stage.world.period == pytest.approx(0.05)
        with urllib.request.urlopen(page.address, timeout=30) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read().lower()
        cockpit.join(1)
        eventually(lambda: cockpit.latest)
        assert np.flatnonzero(cockpit.session.mask).tolist() == [0, 1, 2], "what the environment has a name for"
        assert cockpit.slide(1, 1, 0.5)
        eventually(lambda: cockpit.latest.operator[1] == np.float32(0.5))  # type: ignore[union-attr]
        shot: Any = cockpit.latest
        assert shot.executed[1] == np.float32(0.5)
        assert shot.executed[0] == 0
        assert shot.positions.shape == (9,)
        assert np.array_equal(shot.executed[3:], np.clip(shot.assistant[3:], -1, 1))
        eventually(lambda: page._drawn is not None and page._drawn.step > max(shot.step, 5))
        assert "bthigh" in page._rows.content
    (name,), last = cockpit.saved, cockpit.latest
    assert last is not None
    (episode,) = minari.load_dataset(name).iterate_episodes()
    assert len(episode.actions) == last.step > 5, "a person ends the episode, and not the limit of the run"
    assert np.array_equal(episode.actions[shot.step - 1], shot.executed)
    assert np.array_equal(episode.infos["operator_action"][shot.step], shot.operator)
    assert episode.infos["operator_mask"][shot.step].tolist() == [1, 1, 1, 0, 0, 0]
    demonstrations = MinariSource(name).load()
    assert np.array_equal(demonstrations.episodes[0].states[shot.step - 1], shot.state)
    assert demonstrations.episodes[0].actions.shape == (last.step, 6)


def test_a_recorded_session_is_trained_on(run: Path, program: Program, tmp_path: Path) -> None:
    cockpit = make(compose_cockpit([f"run={run}", "held=[5]"]))
    for seed in (1, 2):
        cockpit.session.reset(seed)
        for _ in range(12):
            cockpit.session.tick()
    cockpit.save()
    done = program("autonomy.train", *CHEETAH, "data=minari", f"data.id={cockpit.saved[0]}", *SMALL,
                   "evaluation.episodes=0", f"run={tmp_path / 'again'}")  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("held", "name", "mask"),
    [
        ("null", "hind", [1, 1, 1, 0, 0, 0]),
        ("[1,4]", "dims-1-4", [0, 1, 0, 0, 1, 0]),
        ("all", "all", [1] * 6),
        ("none", "none", [0] * 6),
    ],
)
def test_what_is_held_is_the_world_s(run: Path, held: str, name: str, mask: list[int]) -> None:
    cockpit = make(compose_cockpit([f"run={run}", f"held={held}"]))
    assert cockpit.chosen["channels"] == name
    assert cockpit.session.mask.astype(int).tolist() == mask
    assert not cockpit.stage.corner.menus
    assert "random-5" in cockpit.choices.channels
    assert "random-7" not in cockpit.choices.channels


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["held=shoulder"], "unknown channels 'shoulder'; the valid ones are hind, none, all"),
        (["held=[6]"], "the valid ones are 0 to 5"),
        (["steering=hand"], "unknown steering 'hand'; the valid ones are joints"),
        (["device=demonstrator"], "the demonstrator moves joints of the kitchen"),
    ],
)
def test_what_only_the_kitchen_has_is_refused(run: Path, options: list[str], words: str) -> None:
    with pytest.raises(Exception, match=words.replace("[", r"\[")) as error:
        make(compose_cockpit([f"run={run}", *options]))
    assert isinstance(error.value, UserError) or isinstance(error.value.__cause__, UserError)


def session_in(id: str) -> tuple[Session, Sliders]:
    env = OmegaConf.create(
        {"name": "gym", "world": {"_target_": "envs.gym.GymWorld", "id": id, "max_episode_steps": 4}}
    )
    stage = Stage(env, endless=False)
    sliders, dim = Sliders(len(stage.world.labels)), len(stage.world.labels)
    person = Person(DeadMan(sliders, dim), Joints(stage.world.labels), np.arange(dim) < 1)
    return Session(Recorder(stage.world), ZeroAssistant(), person, seed=2), sliders


def test_a_world_without_mujoco_is_shown_by_its_camera_where_it_has_one() -> None:
    pytest.importorskip("pygame", reason="Pendulum draws with pygame")
    drive, sliders = session_in("Pendulum-v1")
    assert not is_mujoco(drive.world.simulators[0])
    sliders.set(0, 0.5)
    shots = [drive.tick() for _ in range(5)]
    assert [shot.ended for shot in shots] == [False, False, False, True, True]
    picture = shots[0].picture
    assert picture is not None
    assert (picture.dtype, picture.shape[2]) == (np.uint8, 3)
    assert not np.array_equal(picture, shots[3].picture)
    assert np.array_equal(shots[3].picture, shots[4].picture)
    assert not shots[0].positions.size
    name = drive.recorder.save()
    assert name is not None
    (episode,) = minari.load_dataset(name).iterate_episodes()
    assert episode.actions.tolist() == [[1.0]] * 4, "in the robot's units: half of two newton metres"
    assert (episode.truncations.tolist(), episode.terminations.any()) == ([False] * 3 + [True], False)


class Blind(gymnasium.Env[np.ndarray, np.ndarray]):
    """Draws nothing."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.asarray(action, np.float32), 0.0, False, False, {}


def test_a_world_that_shows_nothing_is_played_all_the_same() -> None:
    gymnasium.register("tests/blind-v0", entry_point=Blind)
    drive, sliders = session_in("tests/blind-v0")
    sliders.set(0, -0.25)
    shot = drive.tick()
    assert shot.picture is None
    assert shot.executed.tolist() == [-0.25, 0.0]
