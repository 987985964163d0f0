"""The physics of many kitchens against the library's own environment, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from envs.kitchen.expert import Expert
from envs.kitchen.simulation import KitchenEnv, Simulation
from envs.kitchen.single import Kitchen
from envs.kitchen.tasks import TASK_SETS

MIXED = TASK_SETS["mixed"]


def library(noise: float) -> KitchenEnv:
    return KitchenEnv(
        tasks_to_complete=list(MIXED),
        terminate_on_tasks_completed=False,
        remove_task_when_completed=False,
        robot_noise_ratio=noise,
    )


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize("threads", [1, 2])
def test_trajectories_are_the_library_s(noise: float, threads: int) -> None:
    """Observations, and all that the expert reads, of two episodes a kitchen with actions in and out of the box."""
    ours, theirs = Simulation(2, MIXED, noise, threads), [library(noise) for _ in range(2)]
    rng = np.random.default_rng(0)
    for episode in range(2):
        seeds = [3 + episode, 7 * episode]
        expected = [env.reset(seed=seed)[0]["observation"] for env, seed in zip(theirs, seeds, strict=True)]
        assert np.array_equal(ours.reset([0, 1], seeds), expected)
        for actions in rng.uniform(-1.2, 1.2, (25, 2, 9)).astype(np.float32):
            expected = [env.step(action)[0]["observation"] for env, action in zip(theirs, actions, strict=True)]
            assert np.array_equal(ours.step([0, 1], actions), expected)
    for data, env in zip(ours.data, theirs, strict=True):
        for name in ("qpos", "qvel", "xpos", "site_xpos", "qfrc_bias", "qacc_warmstart", "time"):
            assert np.array_equal(getattr(data, name), getattr(env.data, name)), name


def test_some_kitchens_move_while_others_rest() -> None:
    """A kitchen that is stepped alone does what it does among others."""
    alone, among = Simulation(1, MIXED, 0.01), Simulation(3, MIXED, 0.01)
    expected, found = alone.reset([0], [5]), among.reset([0, 2], [1, 5])
    assert np.array_equal(found[1:], expected)
    for step, action in enumerate(np.random.default_rng(1).uniform(-1, 1, (10, 1, 9))):
        rows = [0, 2] if step % 2 else [2]
        found = among.step(rows, np.repeat(action, len(rows), 0))
        assert np.array_equal(found[-1:], alone.step([0], action))
    assert among.data[1].time == 0


def test_goals_are_reached_when_the_library_says_so() -> None:
    """Through an episode in which the expert completes two tasks."""
    kitchen, theirs = Kitchen(tasks=MIXED), library(0.01)
    expert = Expert(["bottom burner", "light switch"], np.random.default_rng(0))
    kitchen.reset(seed=0)
    theirs.reset(seed=0)
    counted: set[str] = set()
    while not expert.done:
        action = expert.act(kitchen)
        *_, info = kitchen.step(action)
        counted |= set(theirs.step(action)[4]["step_task_completions"])
        assert set(info["completed"]) == counted
    assert counted == {"bottom burner", "light switch"}
