"""The scripted expert does every task, through actions alone."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import mujoco
import numpy as np
import pytest

import envs  # noqa: F401
from autonomy.types import UserError
from envs import rendering
from envs.kitchen.expert import Expert
from envs.kitchen.expert.__main__ import main
from envs.kitchen.expert.actuation import CONTROL_PERIOD, arm_action, sag
from envs.kitchen.expert.geometry import hand_rotation
from envs.kitchen.expert.measure import Style, Trial, measure, plan, run_trial, table
from envs.kitchen.expert.scene import Camera
from envs.kitchen.expert.servo import solve
from envs.kitchen.tasks import TASK_SETS, TASKS


@pytest.fixture(scope="module")
def kitchen():
    return gymnasium.make("autonomy/kitchen-v1", disable_env_checker=True)


def rng(seed=0):
    return np.random.default_rng(seed)


def physics(simulator):
    """The complete state that the simulation integrates."""
    state = np.empty(mujoco.mj_stateSize(simulator.model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(simulator.model, simulator.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return state


@pytest.mark.parametrize("task", TASKS)
def test_each_task_alone(task):
    outcome = run_trial(Trial((task,), 1000, Style()))
    assert outcome.success
    assert outcome.steps < 80


@pytest.mark.parametrize("style", [Style(), Style(speed=0.6, smooth=0.3)])
def test_the_four_tasks_in_one_episode(style):
    assert run_trial(Trial(TASK_SETS["mixed"][::-1], 1000, style)).success


def test_the_order_is_kept(kitchen):
    order = ("light switch", "bottom burner")
    expert = Expert(order, rng())
    kitchen.reset(seed=0)
    while not expert.done:
        *_, info = kitchen.step(expert.act(kitchen.unwrapped))
    assert info["completed"] == order
    assert expert.activity == "hold"


def test_acting_does_not_touch_the_simulator(kitchen):
    kitchen.reset(seed=0)
    before = physics(kitchen.unwrapped)
    Expert(["kettle"], rng()).act(kitchen.unwrapped)
    np.testing.assert_array_equal(physics(kitchen.unwrapped), before)


def test_the_draws_are_the_generators(kitchen):
    kitchen.reset(seed=0)

    def action(seed, jitter):
        return Expert(["kettle"], rng(seed), jitter=jitter).act(kitchen.unwrapped)

    np.testing.assert_array_equal(action(1, 1.0), action(1, 1.0))
    assert not np.array_equal(action(1, 1.0), action(2, 1.0))
    np.testing.assert_array_equal(action(1, 0.0), action(2, 0.0))
    assert action(1, 0.0).shape == (9,)
    assert action(1, 0.0).dtype == np.float32


def test_retries_are_bounded(kitchen):
    """A robot that never moves: each attempt runs into its phases' limits."""
    kitchen.reset(seed=0)

    def steps(max_retries):
        expert, n = Expert(["light switch"], rng(), max_retries=max_retries), 0
        while not expert.done:
            expert.act(kitchen.unwrapped)
            n += 1
        return n - 1

    once = steps(0)
    assert 50 < once < 150
    assert steps(2) == 3 * once


def test_unknown_task_is_named_with_the_valid_ones():
    with pytest.raises(UserError, match="hinge cabinet"):
        Expert(["toaster"], rng())


def test_aware_of_all_joints_is_the_same_as_unaware(kitchen):
    kitchen.reset(seed=0)
    everything = Expert(["kettle"], rng()).act(kitchen.unwrapped, np.ones(9, dtype=bool))
    np.testing.assert_allclose(everything, Expert(["kettle"], rng()).act(kitchen.unwrapped), atol=1e-6)


def test_aware_changes_the_held_joints_only(kitchen):
    kitchen.reset(seed=0)
    held = np.isin(np.arange(9), [0, 1, 2, 3])
    aware = Expert(["kettle"], rng()).act(kitchen.unwrapped, held)
    plain = Expert(["kettle"], rng()).act(kitchen.unwrapped)
    assert np.abs(aware - plain)[:4].max() > 0.01
    np.testing.assert_array_equal(aware[4:], plain[4:])


def test_aware_expert_reaches_better_when_the_others_stand_still():
    """With joints 4-6 kept still, the aware solution's error is the least that the held joints can reach."""
    draw = rng(3)
    rows, target = draw.normal(size=(9, 7)), draw.normal(size=9)
    low, high, still = np.full(7, -5.0), np.full(7, 5.0), np.zeros(7)
    free = np.arange(7) < 4
    aware = solve(rows, target, low, high, still, free)
    unaware = np.where(free, solve(rows, target, low, high, still, np.ones(7, dtype=bool)), 0.0)
    best = np.linalg.lstsq(rows[:, :4], target, rcond=None)[0]
    np.testing.assert_allclose(aware[:4], best, atol=1e-8)
    assert np.linalg.norm(rows @ aware - target) < np.linalg.norm(rows @ unaware - target)


def test_solutions_stay_within_their_bounds():
    draw = rng(4)
    rows, target = draw.normal(size=(9, 7)), 10 * draw.normal(size=9)
    solution = solve(rows, target, np.full(7, -0.5), np.full(7, 0.2), np.zeros(7), np.ones(7, dtype=bool))
    assert solution.min() >= -0.5
    assert solution.max() <= 0.2


def test_the_action_inverse_moves_the_joints_as_asked(kitchen):
    """Within 20% (and 2 mrad) of the wanted displacement after one step, against gravity."""
    for sign in (-1.0, 1.0):
        kitchen.reset(seed=0)
        data = kitchen.unwrapped.data
        wanted = sign * np.array([0.4, 0.0, 0.4, 0.4, 0.5, 0.5, 0.5])
        for _ in range(2):  # the second step starts in motion
            before = data.qpos[:7].copy()
            kitchen.step(np.r_[arm_action(wanted, sag(data.qfrc_bias[:7])), 0.0, 0.0].astype(np.float32))
        moved = data.qpos[:7] - before
        np.testing.assert_allclose(moved, wanted * CONTROL_PERIOD, rtol=0.2, atol=0.002)


def test_jacobians_agree_with_finite_differences(kitchen):
    kitchen.reset(seed=0)
    model, data = kitchen.unwrapped.model, mujoco.MjData(kitchen.unwrapped.model)
    simulator = type("Simulator", (), {"model": model, "data": data})()
    camera, step = Camera(model), 1e-6
    data.qpos[:] = kitchen.unwrapped.data.qpos
    scene = camera.take(simulator)
    for joint in range(7):
        data.qpos[joint] += step
        moved = camera.take(simulator)
        data.qpos[joint] -= step
        difference = (moved.tool.position - scene.tool.position) / step
        np.testing.assert_allclose(scene.translation[:, joint], difference, atol=1e-4)
        skew = (moved.tool.rotation - scene.tool.rotation) / step @ scene.tool.rotation.T
        np.testing.assert_allclose(scene.rotation[:, joint], [skew[2, 1], skew[0, 2], skew[1, 0]], atol=1e-4)


def test_hand_rotations_point_where_they_say():
    np.testing.assert_allclose(hand_rotation()[:, 2], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(hand_rotation()[:, 1]), [0, 0, 1] @ np.eye(3)[[1, 2, 0]], atol=1e-12)
    assert hand_rotation(yaw=0.5)[0, 2] < 0  # to the left
    assert hand_rotation(pitch=-0.5)[2, 2] < 0  # nose down
    turned = hand_rotation(0.3, -0.4)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)


def test_the_table_is_the_same_for_one_and_two_processes():
    trials = [(label, trial) for label, trial in plan(1, 1, 50, Style()) if label in ("kettle", "light switch")]
    one, two = measure(trials, 1), measure(trials, 2)
    assert one == two
    text = table(*one, trials)
    assert "kettle" in text
    assert "1/1" in text
    assert "95% interval" in text
    assert "perturbation" in text


def test_the_plan_covers_tasks_and_orders():
    trials = plan(2, 3, 0, Style())
    assert len(trials) == 7 * 2 + 24 * 3
    assert len({trial.seed for _, trial in trials}) == len(trials)
    assert len({trial.order for _, trial in trials if len(trial.order) == 4}) == 24


@pytest.mark.parametrize("arguments", [["--episodes", "0"], ["--seed", "-1"], ["--speed", "2"]])
def test_unusable_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert "must be a" in capsys.readouterr().err


def test_no_backend_no_video_and_no_failure(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MUJOCO_GL", "no-such-backend")
    rendering.rendering_problem.cache_clear()
    assert main(["--video", str(tmp_path / "expert.mp4")]) == 0
    rendering.rendering_problem.cache_clear()
    assert "apt-get install libegl1 libgl1" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_video_needs_a_usable_path(capsys, tmp_path):
    if rendering.rendering_problem() is not None:
        pytest.skip(str(rendering.rendering_problem()))
    assert main(["--video", str(tmp_path / "missing" / "expert.mp4")]) == 2
    assert "folder that exists" in capsys.readouterr().err


def test_a_backend_that_breaks_mujoco_is_ignored(root):
    command = "import envs; import mujoco; import os; assert 'MUJOCO_GL' not in os.environ"
    done = subprocess.run(
        [sys.executable, "-c", command], env={"MUJOCO_GL": "no-such-backend"}, cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "MUJOCO_GL=no-such-backend does not load here and is ignored." in done.stderr
