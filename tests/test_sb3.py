"""`python -m eval.sb3`: the seam to Stable-Baselines3 is real, and what it learns there is to read the operator."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from autonomy.assistants.zero import ZeroAssistant
from autonomy.channels import FixedChannels
from autonomy.checkpoint import load_policy
from autonomy.configs import CONFIGS
from autonomy.types import Assistant, Operator, UserError
from envs import REACH_STEPS
from envs.reach import DIM, NEAR, STEP, Reach, ReachOperator
from envs.shared_control import SharedControl
from eval import sb3
from eval.sb3 import Misled, RandomAssistant, make_agent, played, train
from eval.setting import Setting, make_world, world_of
from eval.stats import compare

EPISODES, SEED = 100, 5_000
QUICK = 40_000
TINY = [
    *("env.objects=2", "algorithm.steps=40", "algorithm.environments=2", "evaluation.episodes=3"),
    *("algorithm.agent.batch_size=8", "algorithm=ppo", "algorithm.agent.n_steps=8"),
]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("sb3", list(overrides))


def reach(objects: int = 2) -> dict[str, Any]:
    """The configuration of env=reach."""
    return OmegaConf.to_container(composed(f"env.objects={objects}").env, resolve=True)


def shared(*dims: int, n: int) -> SharedControl:
    """`n` reaching tasks with two objects, of which the operator holds `dims`; their first seeds begin with SEED."""
    world = SharedControl(make_world(reach(), n), ReachOperator(), FixedChannels(dims, DIM), SEED)
    world.seed(SEED)
    return world


def evaluate(assistant: Callable[[], Any], *dims: int, n: int = EPISODES) -> tuple[np.ndarray, np.ndarray]:
    """Returns and goals reached of `n` episodes whose operator holds `dims`."""
    channels, world = FixedChannels(dims, DIM), world_of(reach())
    return played(Setting("somebody", assistant, ReachOperator, channels, world, reach(), SEED), range(SEED, SEED + n))


def test_gymnasium_and_sb3_accept_the_environment() -> None:
    check_env(gymnasium.make("autonomy/reach-v1", objects=2).unwrapped, skip_render_check=True)
    check_env_sb3(Reach(4))
    assert gymnasium.spec("autonomy/reach-v1").max_episode_steps == REACH_STEPS


def test_rewards_are_goals_reached_and_way_made_and_states_say_where_all_is() -> None:
    env, rng = Reach(3), np.random.default_rng(0)
    state, info = env.reset(seed=4)
    goals = set()
    for _ in range(200):
        goal, way, count = env.goal, env.way, info["reached"]
        assert (way == state.reshape(3, DIM)[goal]).all()
        action = way / STEP + rng.uniform(-0.5, 0.5, DIM)  # often out of the box, and beside the goal
        following, reward, *_, info = env.step(action)
        hit = info["reached"] - count
        left = np.linalg.norm(following.reshape(3, DIM)[goal])
        assert (hit, env.goal != goal) == (int(left < NEAR), left < NEAR)
        assert reward == pytest.approx(np.linalg.norm(way) - left + hit, abs=1e-5)
        moved = state - following
        np.testing.assert_allclose(moved, np.tile(moved[:DIM], 3), atol=1e-6)
        assert np.abs(moved).max() <= STEP + 1e-6
        state = following
        goals.add(env.goal)
    assert goals == {0, 1, 2}
    assert info["reached"] > 10


def test_a_world_of_it_has_its_episodes() -> None:
    world, alone = make_world(reach(3), 2), gymnasium.make("autonomy/reach-v1", objects=3)
    world.stage([5, 8])
    states, rng, others = world.reset(), np.random.default_rng(0), np.random.default_rng(1)
    state, _ = alone.reset(seed=8)
    for _ in range(REACH_STEPS):
        np.testing.assert_array_equal(states[1], state)
        action = np.float32(rng.uniform(-1, 1, DIM))
        state, reward, _, late, info = alone.step(action)
        states, rewards, dones, infos = world.step(np.stack([others.uniform(-1, 1, DIM), action]))
        assert (rewards[1], dones[1], world.get_attr("reached")[1]) == (np.float32(reward), late, info["reached"])
    np.testing.assert_array_equal(infos[1]["terminal_observation"], state)
    assert world.labels == ("x", "y", "z")


def test_a_picture_shows_goal_and_hand() -> None:
    env = Reach(2, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert {(217, 95, 2), (150, 150, 150), (30, 30, 30)} <= {tuple(pixel) for pixel in before.reshape(-1, 3).tolist()}
    env.step(np.ones(DIM, np.float32))
    assert (env.render() != before).any()


def test_the_hand_stays_in_the_cube() -> None:
    env = Reach(2)
    before, _ = env.reset(seed=0)
    for _ in range(11):
        after, *_ = env.step(np.ones(DIM, np.float32))
    np.testing.assert_array_equal(env.step(np.ones(DIM, np.float32))[0], after)
    assert (before - after <= 2).all()


def test_the_goal_is_drawn_anew_and_not_in_the_state() -> None:
    env, drawn = Reach(2), []
    for seed in range(40):
        state, _ = env.reset(seed=seed)
        drawn.append(env.goal)
        env.goal = 1 - env.goal
        assert (env.step(np.zeros(DIM, np.float32))[0] == state).all()
    assert 10 <= sum(drawn) <= 30


def test_the_operator_solves_it_with_all_axes_and_not_with_its_part() -> None:
    _, whole = evaluate(ZeroAssistant, *range(DIM))
    _, part = evaluate(ZeroAssistant, 0, 1)
    _, nobody = evaluate(partial(RandomAssistant, 0))
    assert whole.min() >= 3
    assert part.mean() < 1
    assert nobody.mean() < 1


def test_the_operator_goes_straight_and_stops_there() -> None:
    env = Reach(2)
    env.reset(seed=1)
    first, distance = env.goal, np.linalg.norm(env.way)
    steps = 0
    while env.goal == first:
        action = ReachOperator().act(np.zeros((1, 2 * DIM), np.float32), [env])[0]
        assert np.linalg.norm(action) <= 1 + 1e-6
        env.step(action)
        steps += 1
    assert steps == np.ceil((distance - NEAR) / STEP)


def test_the_operator_tells_its_goal_in_the_episode_that_it_belongs_to() -> None:
    world = shared(0, n=4)
    world.reset()
    for _ in range(2):
        for _ in range(REACH_STEPS):
            meant = [f"object {simulator.goal}" for simulator in world.simulators]
            _, _, dones, infos = world.step(np.zeros((4, DIM)))
            assert [info["intent"] for info in infos] == [(name,) for name in meant]
        assert dones.all()
    assert isinstance(world.operator, Operator)
    with pytest.raises(UserError, match="environments in this process"):
        ReachOperator().act(np.zeros((2, 6), np.float32), [])


def test_episodes_are_paired_by_their_seed() -> None:
    few, _ = evaluate(partial(RandomAssistant, 1), 0, 1, 2, n=5)
    many, _ = evaluate(partial(RandomAssistant, 2), 0, 1, 2, n=9)
    assert many[:5].tolist() == few.tolist()
    assert len(set(many)) == 9


@pytest.fixture(scope="module")
def agent() -> PPO:
    """PPO after some five seconds of training."""
    trained = train(make_agent(composed("env.objects=2")), QUICK)
    assert isinstance(trained, PPO)
    return trained


def test_ppo_learns_to_read_the_operator(agent: PPO, tmp_path: Path) -> None:
    """Better than nobody, and than itself when it is shown the commands of other episodes."""
    agent.save(tmp_path / "agent.zip")
    trained = partial(load_policy, tmp_path / "agent.zip")
    ours, _ = evaluate(trained, 0, 1)
    for other in (ZeroAssistant, lambda: Misled(trained())):
        comparison = compare([ours], [evaluate(other, 0, 1)[0]])
        assert comparison.difference.low > 1
        assert comparison.p < 0.001


def test_the_saved_zip_is_an_assistant_as_it_is(agent: PPO, tmp_path: Path) -> None:
    agent.save(tmp_path / "agent.zip")
    loaded = load_policy(tmp_path / "agent.zip")
    assert isinstance(loaded, PPO)
    assert isinstance(loaded, Assistant)
    world = shared(0, 1, n=8)
    observation = world.reset()
    for _ in range(5):
        actions, _ = loaded.predict(observation, deterministic=True)
        assert (actions == agent.predict(observation, deterministic=True)[0]).all()
        observation, _, _, infos = world.step(actions)
        assert all((info["executed_action"][2] == action[2]) for info, action in zip(infos, actions, strict=True))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`typed("seed=1", ...)` runs the program by its command line, in this process."""

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["eval.sb3", *arguments])
        importlib.reload(sb3).run()

    return run


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_the_program_trains_saves_and_prints(
    algorithm: str, typed: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sac = ["algorithm=sac", "algorithm.agent.learning_starts=8", *TINY[:4]]
    typed(*(sac if algorithm == "sac" else TINY), "channels=random-2", f"out={tmp_path / 'new'}")
    text = capsys.readouterr().out
    for row in ("operator alone", "operator and chance", f"operator and {algorithm.upper()}", "operator on all"):
        assert f"| {row}" in text
    assert f"{algorithm.upper()} minus operator alone: " in text
    assert "random-2, 3 paired episodes" in text
    assert (tmp_path / "new" / "table.md").read_text() in text
    loaded = load_policy(tmp_path / "new" / "assistant.zip")
    assert isinstance(loaded, {"ppo": PPO, "sac": SAC}[algorithm])


def test_the_same_seed_trains_the_same_agent() -> None:
    def weights(seed: int) -> np.ndarray:
        return train(make_agent(composed(*TINY, f"seed={seed}")), 40).policy.action_net.weight.detach().numpy()

    assert (weights(1) == weights(1)).all()
    assert not (weights(1) == weights(2)).all()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("algorithm=dqn", "unknown algorithm 'dqn'; the valid ones are ppo, sac"),
        ("algorithm.steps=0", "algorithm.steps must be a whole number of at least 1"),
        ("algorithm.environments=1.5", "algorithm.environments must be a whole number of at least 1"),
        ("algorithm.agent.batch_size=1", "ppo cannot be made with these settings of algorithm.agent"),
        ("algorithm.agent.learning_rate=-1", "ppo cannot be made with these settings of algorithm.agent"),
        ("algorithm.agent.policy=CnnPolicy", "ppo cannot be made with these settings of algorithm.agent"),
        ("env.objects=1", "the number of objects must be a whole number of at least 2"),
        ("channels=wrist", "unknown channels 'wrist'; the valid ones are joystick, none, all, random-1 to random-3"),
        ("seed=-1", "seed must be a whole number of at least 0"),
        ("evaluation.episodes=0", "evaluation.episodes must be a whole number of at least 1"),
        ("evaluation.seed=x", "evaluation.seed must be a whole number of at least 0"),
        ("out=README.md/here", "cannot write to out=README.md/here"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_trained(
    argument: str, words: str, typed: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        typed(*TINY, *([] if argument.startswith("out") else [f"out={tmp_path / 'new'}"]), argument)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_world_without_goals_is_refused(typed: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        typed("env=fetch", "channels=plane")
    assert (
        "eval.sb3 counts the goals that are reached in env=reach, and env=fetch counts none" in capsys.readouterr().err
    )
