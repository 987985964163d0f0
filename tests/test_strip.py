"""The picture of an episode: its moments, and a small PNG in the movers' colours."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from envs.rendering import rendering_problem
from eval.recognition import Belief
from eval.strip import _outcome, draw, moments


def infos_of(steps: int, completed: dict[int, str], held: list[bool]) -> list[dict[str, Any]]:
    """An episode in which the tasks are completed at the given steps."""
    dims = len(held)
    return [
        {
            "completed": tuple(task for at, task in sorted(completed.items()) if at <= step),
            "intent": ("kettle", "microwave"),
            "operator_mask": np.array(held),
            "executed_action": np.full(dims, 0.9),
            "operator_action": np.full(dims, -0.5),
        }
        for step in range(steps)
    ]


def test_moments_are_completions_first_and_then_fill_the_gaps() -> None:
    infos = infos_of(100, {20: "kettle", 60: "microwave"}, [True, False])
    assert moments(infos, 2) == [20, 60]
    assert moments(infos, 4) == [20, 40, 60, 80]
    assert moments(infos, 1) == [20]
    assert moments(infos_of(3, {}, [True]), 6) == [0, 1, 2]
    assert moments(infos_of(1, {0: "kettle"}, [True]), 6) == [0]


@pytest.mark.parametrize("held", [[True] * 9, [False] * 9, [True] * 4 + [False] * 5])
def test_the_movers_colours_cover_their_dims(held: list[bool]) -> None:
    infos = infos_of(40, {20: "kettle"}, held)
    frames = {step: np.full((32, 32, 3), 128, np.uint8) for step in (5, 20, 30)}
    picture = draw(infos, frames, ("mac", "expert", "shoulder"))
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    chart = pixels[pixels.shape[0] // 2 : int(0.9 * pixels.shape[0])]
    red, blue = ((chart[..., a] - chart[..., b] > 100).sum() for a, b in ((0, 2), (2, 0)))
    assert (red > 1000) == any(held)
    assert (blue > 1000) == (not all(held))
    assert len(picture) < 100_000


def test_a_belief_has_a_picture_between_the_frames_and_the_dims() -> None:
    infos = infos_of(40, {20: "kettle"}, [True] * 9)
    frames = {5: np.full((32, 32, 3), 128, np.uint8)}
    plain = Image.open(io.BytesIO(draw(infos, frames, ("mac", "expert", "all"))))
    for info in infos:
        info["belief"] = Belief(("kettle", "microwave"), np.array([0.7, 0.2, 0.1]), 0, 0)
    picture = Image.open(io.BytesIO(draw(infos, frames, ("mac", "expert", "all"))))
    assert (picture.width, picture.height > plain.height) == (plain.width, True)
    pixels = [np.asarray(one.convert("RGB")).astype(int) for one in (plain, picture)]
    without, green = ((abs(part - (0x4C, 0x9F, 0x70)).sum(-1) < 60).sum() for part in pixels)
    assert green > 50_000 > without


@pytest.mark.parametrize("out", ["picture.gif", "nowhere/picture.png"])
def test_an_unusable_path_is_one_sentence(program: Callable[..., Any], tmp_path: Path, out: str) -> None:
    done = program("eval.strip", "run=zero", f"out={out}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: cannot draw to {out}: out must end in .png, in a folder that exists\n"


def test_an_episode_is_drawn(program: Callable[..., Any], tmp_path: Path) -> None:
    problem = rendering_problem()
    if problem:
        pytest.skip(problem)
    small = ["env=kitchen-mixed", "env.max_episode_steps=5", "frames=3"]
    done = program("eval.strip", "run=zero", "out=picture.png", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out: picture.png\n"
    picture = Image.open(tmp_path / "picture.png")
    assert picture.width == 1364


def test_the_title_counts_tasks_where_there_are_some_and_else_says_what_the_world_says() -> None:
    done = {"completed": ("kettle",), "success": False}
    assert _outcome(done, tasks=True) == ": 1 tasks done"
    assert _outcome({"completed": (), "success": False}, tasks=True) == ": 0 tasks done"
    assert [
        _outcome({"completed": (), **known}, tasks=False) for known in ({"success": True}, {"success": False}, {})
    ] == [
        ": success",
        ": no success",
        "",
    ]
