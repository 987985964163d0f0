"""The gallery: which episodes are the worst, and that they are filmed as they were played."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from envs.rendering import rendering_problem
from eval.benchmark.cells import Cell
from eval.benchmark.gallery import caption, exhibits, strip, worst
from eval.play import play
from eval.rollout import BATCH
from eval.settings import compose_config, setting_of

SEEDS = tuple(range(1000, 1007))


def table(rewards: list[float], deviations: list[float | None], **columns: Any) -> pd.DataFrame:
    count = len(rewards)
    known = {"row": "plain", "assistant": "mac", "training_seed": 0.0, "seed": range(count), "reward": rewards}
    return pd.DataFrame(
        {**known, "deviation": deviations, "completed": [()] * count, "intended": [()] * count, **columns}
    )


def test_the_worst_have_the_lowest_reward_and_then_deviate_most() -> None:
    frame = table([1.0, 0.0, 0.0, 2.0, 0.0], [0.9, 0.1, 0.3, 0.9, None])
    peer = table([0.0, 0.0], [1.0, 1.0], assistant="bc")
    assert [episode["seed"] for episode in worst(pd.concat([frame, peer]), 4)] == [2, 1, 4, 0]
    assert len(worst(frame)) == 3


def test_a_failing_operator_excuses_an_assistant() -> None:
    noisy = table([0.0, 0.0], [0.9, 0.9], row="noisy", curve="noisy")
    frame = pd.concat([table([3.0], [0.1], curve=None), noisy])
    assert [episode["row"] for episode in worst(frame, 3)] == ["plain"]
    assert len(worst(noisy, 3)) == 2


def test_the_caption_tells_plan_and_deed() -> None:
    episode = {"row": "expert-wrist", "assistant": "mac", "training_seed": 2.0, "seed": 7, "reward": 1.0}
    done = {"deviation": 0.456, "intended": ("kettle", "microwave"), "completed": ("microwave",)}
    assert caption({**episode, **done}) == (
        "expert-wrist, mac, training seed 2, episode 7: reward 1, deviation 0.46."
        " The operator meant: kettle, microwave. Done: microwave."
    )
    bare = {"training_seed": np.nan, "deviation": None, "intended": (), "completed": ()}
    assert caption({**episode, **bare}) == "expert-wrist, mac, episode 7: reward 1. Done: nothing."


@pytest.fixture(scope="module")
def cell() -> Cell:
    """The operator alone in episodes of four steps."""
    env = compose_config("rollout", ["run=zero", "env=kitchen-mixed", "env.max_episode_steps=4"]).env
    setting = setting_of("zero", ["operator=expert", "channels=random-3"], env)
    return Cell("expert-random-3", "nobody", None, "zero", setting)


@pytest.fixture(scope="module")
def frame(cell: Cell) -> pd.DataFrame:
    groups = [SEEDS[i : i + BATCH] for i in range(0, len(SEEDS), BATCH)]
    records = [record for group in groups for record in play(cell.setting, group, BATCH)]
    rows = [{"row": cell.row, "training_seed": None, **dataclasses.asdict(record)} for record in records]
    return pd.DataFrame(rows).assign(assistant=cell.assistant)


def test_the_worst_episodes_are_filmed_once(cell: Cell, frame: pd.DataFrame, tmp_path: Path) -> None:
    problem = rendering_problem()
    if problem:
        pytest.skip(problem)
    first = exhibits([cell], frame, tmp_path, count=1)
    assert first[0].png is not None
    assert Image.open(io.BytesIO(first[0].png)).width == 1364
    kept = list(tmp_path.rglob("strip-*.png"))
    assert [file.read_bytes() for file in kept] == [first[0].png]
    written = kept[0].stat().st_mtime_ns
    assert exhibits([cell], frame, tmp_path, count=1) == first
    assert kept[0].stat().st_mtime_ns == written


def test_a_replay_that_ends_otherwise_is_not_shown(cell: Cell, frame: pd.DataFrame, tmp_path: Path) -> None:
    problem = rendering_problem()
    if problem:
        pytest.skip(problem)
    episode = {**worst(frame, 1)[0], "completed": ("kettle",)}
    assert strip(cell, episode, SEEDS, tmp_path) is None
    assert not list(tmp_path.rglob("*.png"))


def test_an_episode_of_no_known_cell_has_words_only(cell: Cell, frame: pd.DataFrame, tmp_path: Path) -> None:
    found = exhibits([dataclasses.replace(cell, row="another")], frame, tmp_path, count=2)
    assert [exhibit.png for exhibit in found] == [None, None]
    assert all(exhibit.caption.startswith("expert-random-3, nobody, episode") for exhibit in found)


@pytest.fixture
def no_renderer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MUJOCO_GL", "no-such-backend")
    rendering_problem.cache_clear()
    yield
    rendering_problem.cache_clear()


@pytest.mark.usefixtures("no_renderer")
def test_without_a_renderer_there_are_words_and_one_sentence(
    cell: Cell, frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = exhibits([cell], frame, tmp_path, count=1)
    assert found[0].png is None
    assert capsys.readouterr().out.count("MuJoCo cannot render") == 1
