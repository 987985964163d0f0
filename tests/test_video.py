"""The video: a panel that tells who moves what, and a small H.264 file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from envs.rendering import rendering_problem
from eval.recognition import UNKNOWN, Belief
from eval.settings import compose_rollout, setting_of
from eval.video import ASSISTANT, OPERATOR, PANEL, SCENE, panel, record_video, write_video


def _info(mask: list[bool], value: float = 0.8) -> dict[str, Any]:
    dims = len(mask)
    return {
        "operator_mask": np.array(mask),
        "operator_action": np.full(dims, -0.5),
        "executed_action": np.full(dims, value),
        "completed": ("kettle",),
        "intent": ("kettle", "microwave"),
    }


def _pixels(frame: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((frame == np.array(colour)).all(axis=-1).sum())


def test_the_panel_shows_each_dims_mover_in_its_colour() -> None:
    operators, assistants = panel(_info([True] * 9), 0), panel(_info([False] * 9), 0)
    assert operators.shape == (SCENE, PANEL, 3)
    assert _pixels(operators, OPERATOR) > 10 * _pixels(assistants, OPERATOR)
    assert _pixels(assistants, ASSISTANT) > 10 * _pixels(operators, ASSISTANT)


def test_the_panels_bars_grow_with_the_action_and_survive_nan() -> None:
    small, large = (_pixels(panel(_info([True] * 9, value), 0), OPERATOR) for value in (0.1, 0.9))
    assert large > small
    assert panel(_info([True] * 9, float("nan")), 0).shape == (SCENE, PANEL, 3)


def test_the_panels_beliefs_have_bars_in_the_colours_of_their_tasks() -> None:
    tasks = ("kettle", "microwave", "light switch")

    def green(share: float) -> int:
        info = {**_info([True] * 9), "belief": Belief(tasks, np.array([share, 1 - share, 0, 0]), 1, 0)}
        return _pixels(panel(info, 0), (0x4C, 0x9F, 0x70))

    assert green(0.9) > 1.8 * green(0.45) > 200
    many = tuple(f"task {index}" for index in range(7))
    full = {**_info([True] * 9), "belief": Belief(many, np.full(8, 1 / 8), 7, UNKNOWN)}
    assert _pixels(panel(full, 0)[-20:], (0xC9, 0xC9, 0xC9)) > 50  # none of them, in the last row, is not cut off


def test_the_file_is_a_playable_mp4_and_appears_whole(tmp_path: Path) -> None:
    frames = [np.full((SCENE, SCENE + PANEL, 3), 10 * i, np.uint8) for i in range(12)]
    path = write_video(tmp_path / "rollout.mp4", frames)
    assert imageio.imread(path).shape == (12, SCENE, SCENE + PANEL, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["rollout.mp4"]


def test_an_episode_is_filmed(tmp_path: Path) -> None:
    problem = rendering_problem()
    if problem:
        pytest.skip(problem)
    env = compose_rollout(["run=zero", "env=kitchen-mixed"]).env
    env.max_episode_steps = 8
    path = record_video(setting_of("zero", ["operator=expert", "channels=shoulder"], env), 1, tmp_path)
    assert path is not None
    assert path.stat().st_size < 1_000_000
    assert imageio.imread(path)[0, :, :SCENE].std() > 10  # a scene, not a blank
    assert len(list((tmp_path / "frames").glob("*.png"))) == 4


def test_without_opengl_there_is_one_sentence_and_no_video(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from eval.video import record_video
assert record_video(None, 0, Path({str(tmp_path)!r})) is None
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MUJOCO_GL": "off", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No video: ")
    assert "libegl1" in done.stdout
    assert not list(tmp_path.iterdir())
