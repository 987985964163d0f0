"""What an episode did is worked out from object positions, and agrees with the simulator."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gymnasium_robotics.envs.franka_kitchen import kitchen_env

from autonomy.data.labels import stretches
from autonomy.types import UserError
from envs.kitchen import tasks as kitchen
from envs.kitchen.single import Kitchen
from envs.kitchen.tasks import TASKS
from tests import data_files


def test_goals_indices_and_threshold_are_gymnasium_robotics_own() -> None:
    assert set(kitchen.GOALS) == set(kitchen_env.OBS_ELEMENT_GOALS)
    for task, (indices, goal) in kitchen.GOALS.items():
        np.testing.assert_array_equal(indices, kitchen_env.OBS_ELEMENT_INDICES[task])
        np.testing.assert_array_equal(goal, kitchen_env.OBS_ELEMENT_GOALS[task])
    assert kitchen.THRESHOLD == kitchen_env.BONUS_THRESH


def test_no_task_is_done_at_the_kitchens_start() -> None:
    observation, _ = Kitchen().reset(seed=0)
    assert not kitchen.done(observation[None]).any()


@pytest.mark.parametrize("obs", ["pose", "full"])
def test_done_agrees_with_the_simulator(obs: str) -> None:
    env = Kitchen(obs=obs)
    env.reset(seed=0)
    for task in TASKS:
        indices, goal = kitchen.GOALS[task]
        env.data.qpos[list(indices)] = goal
        observation, _, _, _, info = env.step(np.zeros(9, np.float32))
        at_goal = kitchen.done(kitchen.pose_of(observation[None]))[0]
        assert task in info["completed"]
        assert at_goal[TASKS.index(task)], task


def test_poses_drop_the_velocities() -> None:
    pose = data_files.poses(["kettle"], 5)
    np.testing.assert_array_equal(kitchen.pose_of(data_files.full(pose)), pose)
    np.testing.assert_array_equal(kitchen.pose_of(pose), pose)


@pytest.mark.parametrize("order", [*itertools.permutations(TASKS, 2), TASKS, TASKS[::-1]])
def test_completed_is_in_the_order_of_completion(order: tuple[str, ...]) -> None:
    assert kitchen.completed(data_files.poses(order, 20)) == order


def test_a_task_counts_once_and_stays_completed_when_undone() -> None:
    there = data_files.poses(["light switch"], 10)
    away = data_files.poses([], 3)
    assert kitchen.completed(np.concatenate([there, away, there])) == ("light switch",)


def test_a_task_that_is_done_from_the_start_is_nobodys_work() -> None:
    rows = data_files.poses(["kettle"], 10)
    rows[:, 22] = -0.75
    assert kitchen.completed(rows) == ("kettle",)
    rows[3:5, 22] = 0.0  # the door is closed, then opened again
    assert kitchen.completed(rows) == ("microwave", "kettle")


def test_the_threshold_is_a_euclidean_distance() -> None:
    rows = np.tile(data_files.START, (2, 1))
    rows[1, [11, 12]] = -0.88 + 0.2, -0.01 + 0.2
    assert kitchen.completed(rows) == ("bottom burner",)  # 0.28
    rows[1, [11, 12]] = -0.88 + 0.22, -0.01 + 0.22
    assert kitchen.completed(rows) == ()  # 0.31, though each is nearer than 0.3


def test_tasks_completed_in_one_step_come_in_the_order_of_the_table() -> None:
    rows = data_files.poses(["hinge cabinet"], 4)
    rows[3, 19] = 0.37
    assert kitchen.completed(rows) == ("slide cabinet", "hinge cabinet")


def test_one_row_completes_nothing() -> None:
    assert kitchen.completed(data_files.poses([], 1)) == ()


def test_a_step_is_for_the_task_that_completes_next() -> None:
    rows = data_files.poses(["kettle", "microwave"], 7)  # rows 3 and 6 are the first at the goals
    kettle, microwave = kitchen.TASKS.index("kettle"), kitchen.TASKS.index("microwave")
    np.testing.assert_array_equal(kitchen.next_tasks(rows, 6), [kettle] * 3 + [microwave] * 3)
    # Without the row after the last step nobody sees what that step does.
    np.testing.assert_array_equal(kitchen.next_tasks(rows, 7), [kettle] * 3 + [microwave] * 3 + [-1])
    np.testing.assert_array_equal(kitchen.next_tasks(rows[:6], 6), [kettle] * 3 + [-1] * 3)


def test_work_that_nobody_did_is_no_label() -> None:
    rows = data_files.poses(["kettle"], 7)
    rows[:, 22] = -0.75  # the microwave is open from the start
    rows[3, 23:] = data_files.START[23:]
    rows[4:, 23:] = kitchen.GOALS["kettle"][1]
    rows[5, 23:] = data_files.START[23:]  # the kettle leaves its goal and comes back: it is completed once
    kettle = kitchen.TASKS.index("kettle")
    np.testing.assert_array_equal(kitchen.next_tasks(rows, 6), [kettle] * 4 + [-1] * 2)


def test_labels_of_two_arrivals_in_one_step_and_of_none() -> None:
    rows = data_files.poses(["hinge cabinet"], 4)
    rows[3, 19] = 0.37
    np.testing.assert_array_equal(kitchen.next_tasks(rows, 3), [kitchen.TASKS.index("slide cabinet")] * 3)
    np.testing.assert_array_equal(kitchen.next_tasks(data_files.poses([], 1), 1), [-1])


def test_labels_agree_with_what_is_completed() -> None:
    for order in (("kettle", "top burner", "microwave"), kitchen.TASKS[::-1]):
        labels = kitchen.next_tasks(data_files.poses(order, 40), 39)
        assert tuple(kitchen.TASKS[run.intent] for run in stretches(labels)) == order


def test_an_unknown_task_names_the_valid_ones() -> None:
    with pytest.raises(
        UserError, match=r"unknown task 'oven'; the valid tasks are microwave, kettle, .*hinge cabinet$"
    ):
        kitchen.check_tasks(["kettle", "oven"])
