"""Shared control in kitchens, in other processes, and as the world of an SB3 agent."""

from __future__ import annotations

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import SubprocVecEnv, VecMonitor

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.types import Assistant, Channels, Operator
from envs.imperfections import Noisy
from envs.kitchen.operator import ExpertOperator
from envs.kitchen.world import make_kitchens
from envs.operators import RandomOperator
from envs.shared_control import SharedControl
from tests.drift import DIM, Drift, Scripted, drifts, play


def test_the_operator_gets_the_simulators_of_this_process() -> None:
    operator = Scripted(np.zeros((2, DIM)))
    shared = SharedControl(VecMonitor(drifts(2)), operator, FixedChannels([0], DIM))
    shared.seed(9)
    observation = shared.reset()
    states, simulators = operator.seen
    assert (states == observation["state"]).all()
    assert [type(simulator) for simulator in simulators] == [Drift, Drift]
    assert [info["seed"] for info in shared.reset_infos] == [9, 10]


def test_environments_in_other_processes_do_the_same_without_simulators() -> None:
    venv = SubprocVecEnv([Drift] * 2, start_method="fork")
    try:
        far = SharedControl(venv, RandomOperator(DIM), RandomChannels(1, DIM))
        near = SharedControl(drifts(2), RandomOperator(DIM), RandomChannels(1, DIM))
        assert (far.simulators, len(near.simulators)) == ([], 2)
        far.seed(4)
        near.seed(4)
        assert play(far, 15) == play(near, 15)
    finally:
        venv.close()


def test_an_sb3_agent_trains_here_and_is_an_assistant_as_it_is() -> None:
    shared = SharedControl(VecMonitor(drifts(2)), RandomOperator(DIM), RandomChannels(2, DIM))
    agent = PPO("MultiInputPolicy", shared, n_steps=16, batch_size=16, n_epochs=2, seed=0, device="cpu")
    before = agent.policy.action_net.weight.detach().clone()
    agent.learn(64)
    assert isinstance(agent, Assistant)
    assert not (agent.policy.action_net.weight == before).all()
    actions, _ = agent.predict(shared.reset(), deterministic=True)
    _, _, _, infos = shared.step(actions)
    free = ~infos[0]["operator_mask"]
    assert (infos[0]["executed_action"][free] == actions[0][free]).all()


def kitchen_control(n: int, operator: Operator, channels: Channels) -> SharedControl:
    shared = SharedControl(make_kitchens(n), operator, channels)
    shared.seed(50)
    return shared


def test_kitchens_beside_each_other_do_not_change_each_other() -> None:
    def story(n: int) -> list[tuple[bytes, bytes, tuple[str, ...]]]:
        operator = Noisy(ExpertOperator(make_tasks()), 0.2)
        shared = kitchen_control(n, operator, RandomChannels(3, 9))
        observation, steps = shared.reset(), []
        for _ in range(15):
            state = observation["state"][1].tobytes()
            observation, _, _, infos = shared.step(observation["operator_action"])
            steps.append((state, infos[1]["executed_action"].tobytes(), infos[1]["intent"]))
        shared.close()
        return steps

    assert story(2) == story(3)


def make_tasks() -> tuple[str, ...]:
    return ("microwave", "kettle", "bottom burner", "light switch")


def test_an_expert_that_holds_everything_does_what_it_means_to() -> None:
    operator = ExpertOperator(make_tasks(), order=["light switch"], speed=1.0, smooth=0.0)
    shared = kitchen_control(1, operator, FixedChannels(range(9), 9))
    shared.reset()
    for _ in range(100):
        _, rewards, _, infos = shared.step(np.zeros((1, 9)))
        if rewards[0]:
            break
    assert infos[0]["completed"] == infos[0]["intent"] == ("light switch",)
    shared.close()
