"""The kitchen keeps the Gymnasium contract, counts tasks honestly and replays an episode from its seed."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import envs  # noqa: F401
from autonomy.types import UserError
from envs.kitchen.expert import Expert
from envs.kitchen.single import Kitchen
from envs.kitchen.tasks import TASK_SETS, TASKS


def make(name="kitchen-mixed", **options):
    return gymnasium.make(f"autonomy/{name}-v1", disable_env_checker=True, **options)


def rollout(env, seed, actions):
    """Observations, rewards and infos of one episode."""
    observation, info = env.reset(seed=seed)
    records = [(observation, 0.0, info)]
    for action in actions:
        observation, reward, *_, info = env.step(action)
        records.append((observation, reward, info))
    return records


def random_actions(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 9)).astype(np.float32)


@pytest.mark.parametrize(
    "name", ["autonomy/kitchen-mixed-v1", "autonomy/kitchen-partial-v1", "autonomy/kitchen-complete-v1"]
)
def test_registered_ids_have_their_tasks_and_280_steps(name):
    spec = gymnasium.spec(name)
    assert spec.max_episode_steps == 280
    env = gymnasium.make(name, disable_env_checker=True)
    assert set(env.unwrapped.tasks) == set(TASK_SETS[name.split("-")[1]])


@pytest.mark.parametrize("obs", ["pose", "full"])
def test_check_env_of_gymnasium_and_stable_baselines(obs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # unbounded observations are only a remark
        check_env(make("kitchen", obs=obs, perturbed_start=True).unwrapped, skip_render_check=True)
        check_env_sb3(make(obs=obs))


def test_pose_is_the_position_part_of_full():
    pose, full = (rollout(make(obs=obs), 3, random_actions(5)) for obs in ("pose", "full"))
    for (short, *_), (long, *_) in zip(pose, full, strict=True):
        assert short.shape == (30,)
        assert short.dtype == np.float32
        np.testing.assert_array_equal(short, np.concatenate([long[:9], long[18:39]]))


def test_pose_reads_the_simulator_within_the_noise():
    for noise, bound in (("v1", 0.001), ("d4rl", 0.01)):
        env = make(noise=noise)
        errors = []
        for seed in range(20):
            observation, _ = env.reset(seed=seed)
            errors.append(np.abs(observation[:9] - env.unwrapped.data.qpos[:9]).max())
        assert 0.5 * bound < max(errors) <= bound + 1e-6


@pytest.mark.parametrize("perturbed_start", [False, True])
def test_same_seed_same_episode_bit_for_bit(perturbed_start):
    first, second = make(perturbed_start=perturbed_start), make(perturbed_start=perturbed_start)
    rollout(second, 5, random_actions(20, seed=9))  # another episode before leaves no trace
    for a, b in zip(rollout(first, 7, random_actions(20)), rollout(second, 7, random_actions(20)), strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:] == b[1:]


def test_an_unseeded_episode_replays_from_its_reported_seed():
    env = make(perturbed_start=True)
    env.reset(seed=0)
    first, info = env.reset()
    again, info_again = env.reset(seed=info["seed"])
    np.testing.assert_array_equal(first, again)
    assert info == info_again
    assert env.reset()[1]["seed"] != info["seed"]


def test_perturbed_start_moves_the_arm_and_nothing_else():
    plain, moved = make(), make(perturbed_start=True)
    a, b = plain.reset(seed=1)[0], moved.reset(seed=1)[0]
    assert np.abs(a[:7] - b[:7]).max() > 0.01
    assert np.abs(a[9:] - b[9:]).max() < 0.05
    c = moved.reset(seed=2)[0]
    assert np.abs(c[:7] - b[:7]).max() > 0.01
    assert make(perturbed_start=0.01).reset(seed=1)[0][:7] == pytest.approx(a[:7], abs=0.1)


def test_two_steps_share_no_memory():
    records = rollout(make(), 0, random_actions(3))
    kept = [observation.copy() for observation, *_ in records]
    for i, (a, *_) in enumerate(records):
        for b, *_ in records[i + 1 :]:
            assert not np.shares_memory(a, b)
        a[:] = np.nan
        assert all(np.isfinite(b).all() for b, *_ in records[i + 1 :])
    assert all(np.isfinite(observation).all() for observation in kept)


def test_reward_counts_each_task_once_and_the_episode_ends_with_the_last():
    env = make("kitchen", tasks=["light switch", "bottom burner"])
    expert = Expert(["bottom burner", "light switch"], np.random.default_rng(0))
    _, info = env.reset(seed=0)
    infos, rewards, ended = [info], [], False
    while not ended:
        _, reward, terminated, truncated, info = env.step(expert.act(env.unwrapped))
        rewards.append(reward)
        infos.append(info)
        ended = terminated or truncated
    assert terminated
    assert sum(rewards) == 2
    assert rewards[-1] == 1
    assert infos[-1]["success"]
    assert infos[-1]["completed"] == ("bottom burner", "light switch")
    assert infos[0] == {"seed": 0, "completed": (), "success": False}  # earlier infos did not change
    assert not infos[-2]["success"]


def test_max_episode_steps_truncates():
    env = make(max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(np.zeros(9, np.float32))[3] for _ in range(3)] == [False, False, True]


def test_tasks_are_kept_in_one_order():
    assert Kitchen(tasks=list(reversed(TASKS))).tasks == TASKS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tasks": ["microwave", "toaster"]}, "hinge cabinet"),
        ({"tasks": []}, "microwave"),
        ({"tasks": ["kettle", "kettle"]}, "microwave"),
        ({"tasks": "medium"}, "mixed, partial, complete"),
        ({"obs": "image"}, "pose, full"),
        ({"noise": "v0"}, "v1, d4rl"),
        ({"perturbed_start": -1.0}, "between 0 and 1"),
        ({"render_mode": "ascii"}, "rgb_array"),
    ],
)
def test_unknown_options_are_named_with_the_valid_ones(options, named):
    with pytest.raises(UserError, match=named):
        make("kitchen", **options)


@pytest.mark.parametrize("action", [np.full(9, np.nan), np.zeros(8), np.full(9, np.inf)])
def test_an_unusable_action_is_refused(action):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="9 finite numbers"):
        env.step(action)
