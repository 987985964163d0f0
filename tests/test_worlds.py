"""One's own robot, with no file written: recordings, training, playing, the report and the offline judge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import gymnasium
import numpy as np
import pandas as pd
import pytest

from autonomy.density.masks import CardinalityMasks, MixtureMasks, operator_masks
from autonomy.run_directory import RunDirectory
from eval.episodes import read_episodes
from tests.laws import generator

Program = Callable[..., CompletedProcess[str]]
SMALL = [
    "training.steps=3",
    "training.validate_every=3",
    "model.width=8",
    "model.components=2",
    "evaluation.episodes=2",
]
CHEETAH = ["env=gym", "env.world.id=HalfCheetah-v5", "env.world.max_episode_steps=5"]


def recordings(path: Path) -> Path:
    """Two episodes of HalfCheetah, moved at random."""
    env, rng = gymnasium.make("HalfCheetah-v5"), np.random.default_rng(0)
    states, actions = [], rng.uniform(-1, 1, (20, 6))
    for step, action in enumerate(actions):
        state = env.reset(seed=step)[0] if step % 10 == 0 else state  # noqa: F821
        states.append(state)
        state = env.step(action)[0]
    np.savez(path, states=states, actions=actions, episode_ends=[10, 20])
    return path


@pytest.fixture(scope="module")
def run(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cheetah")
    data = ["data=npz", f"data.path={recordings(home / 'cheetah.npz')}"]
    done = program("autonomy.train", *CHEETAH, *data, *SMALL, f"run={home / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "return an episode" in done.stdout
    return home / "run"


def test_training_ends_with_a_played_evaluation_and_a_report(run: Path) -> None:
    config = RunDirectory.open(run).config()
    assert (config.env.state_dim, config.env.action_dim) == (17, 6)
    assert config.actions.box == {"low": [-1.0] * 6, "high": [1.0] * 6}
    records = read_episodes(run / "episodes.jsonl")
    assert [(record.operator, record.channels, record.length) for record in records] == [("zero", "none", 5)] * 2
    assert all(record.success is None and record.completed == () for record in records)
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "the sum of an episode's rewards" in report
    assert "tasks of the environment" not in report


def test_operators_play_with_it(program: Program, run: Path) -> None:
    hind = ["operator=random", "channels=[0,1,2]", "episodes=3", "seed=4"]
    done = program("eval.rollout", f"run={run}", *hind, f"out={run / 'hind'}")
    assert done.returncode == 0, done.stderr
    records = read_episodes(run / "hind" / "episodes.jsonl")
    assert [record.seed for record in records] == [4, 5, 6]
    assert {record.mask for record in records} == {(1, 1, 1, 0, 0, 0)}
    alone = program("eval.rollout", "run=zero", *CHEETAH, *hind, f"out={run / 'alone'}")
    assert alone.returncode == 0, alone.stderr
    judged = program("eval.offline", f"run={run}", "held=[[0,1,2]]", "neighbours=2")
    assert judged.returncode == 0, judged.stderr
    assert program("eval.report", f"run={run}").returncode == 0


def test_assistants_are_compared_in_it(program: Program, run: Path, tmp_path: Path) -> None:
    train = [*CHEETAH, "data=npz", f"data.path={run.parent / 'cheetah.npz'}", *SMALL]
    cells = [["operator=zero", "channels=none"]]
    cells += [["operator=random", f"channels={channels}"] for channels in ("random-2", "all")]
    who = ["assistants=[mac,bc]", "training_seeds=[0]", f"cells={json.dumps(cells)}", f"train={json.dumps(train)}"]
    size = ["episodes=2", "calibration=0", "gallery=1"]
    folders = [f"store={tmp_path / 'store'}", f"out={tmp_path / 'report'}"]
    done = program("eval.benchmark", "experiment=own", "name=cheetah", *who, *size, *folders)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "report" / "figures" / "matrix.csv")
    assert set(table["assistant"]) == {"mac", "bc"}
    assert set(table["row"]) == {"zero-none", "random-random-2", "random-all"}
    assert np.isfinite(table["reward"]).all()
    assert table["reward_low"].min() < 0  # a return has no lower end
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "as return of an episode" in page
    assert "All tasks" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["env=gym", "env.world.id=Walker2d-v5"], "world.id=HalfCheetah-v5, not Walker2d-v5"),
        (["env=kitchen-mixed"], "env.name=gym, not kitchen-mixed"),
        (["channels=wrist"], "unknown channels 'wrist'; the valid ones are "),
        (["operator=expert"], "does the kitchen's tasks, and this environment has none"),
    ],
)
def test_a_run_of_another_world_is_one_sentence(program: Program, run: Path, arguments: list[str], words: str) -> None:
    done = program("eval.rollout", f"run={run}", "operator=zero", "channels=none", "episodes=1", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["env.world.id=CartPole-v1"], "supported are vectors of numbers, a bounded Box"),
        (["env.world.id=Hopper-v9"], "Hopper-v9"),
        (["env.world.id=Hopper-v5"], "the box of actions has 3 dimensions, the actions of the data have 6"),
    ],
)
def test_a_world_that_does_not_fit_leaves_nothing_behind(
    program: Program, run: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    data = ["data=npz", f"data.path={run.parent / 'cheetah.npz'}", f"run={tmp_path / 'run'}"]
    done = program("autonomy.train", *CHEETAH, *data, *SMALL, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert not (tmp_path / "run").exists()


def test_masks_follow_the_names_that_a_world_has_for_channels() -> None:
    assert isinstance(operator_masks(4), CardinalityMasks)
    law = operator_masks(4, {"arm": [0, 1], "hand": [2, 3]})
    assert isinstance(law, MixtureMasks)
    drawn = law.sample(4000, generator(0))
    uniform = CardinalityMasks(4)
    for dims in ([0, 1], [2, 3]):
        mask = np.isin(np.arange(4), dims)
        share = (drawn.numpy() == mask).all(1).mean()
        assert share == pytest.approx(0.25 + 0.5 * float(uniform.law()[sum(1 << d for d in dims)]), abs=0.03)


def test_a_hand_opens_a_door_or_tries_to(program: Program, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.4, 1.4, (20, 28))  # as in the human recordings, some lie beyond the box
    np.savez(tmp_path / "door.npz", states=rng.normal(size=(20, 39)), actions=actions, episode_ends=[10, 20])
    run = tmp_path / "run"
    data = ["env=adroit-door", "env.world.max_episode_steps=3", "data=npz", f"data.path={tmp_path / 'door.npz'}"]
    done = program("autonomy.train", *data, *SMALL, "evaluation.episodes=1", f"run={run}")
    assert done.returncode == 0, done.stderr
    assert read_episodes(run / "episodes.jsonl")[0].success is False
    assert sum(RunDirectory(run).read_json(run / "card.json")["clipped"]) > 1
    played = program("eval.rollout", f"run={run}", "operator=zero", "channels=arm", "episodes=1", f"out={run / 'arm'}")
    assert played.returncode == 0, played.stderr
    assert sum(read_episodes(run / "arm" / "episodes.jsonl")[0].mask) == 4
