"""The kitchen's episodes stay what they were: the same numbers from the same seeds, whatever is moved around them."""

from __future__ import annotations

import hashlib

import numpy as np

from autonomy.channels import FixedChannels
from envs.kitchen.operator import ExpertOperator
from envs.kitchen.world import make_kitchens
from envs.shared_control import SharedControl

DIGEST = "534b642a385b667270e88f30ffd6b2f25cae05dd76184a5006f2c4e07c81b433"
"""SHA-256 of states and rewards of 60 random steps of the episodes 1000 to 1002, by the first release."""
FINISHED = {
    1000: (226, ("bottom burner", "kettle", "microwave", "light switch")),
    1001: (213, ("bottom burner", "kettle", "light switch", "microwave")),
}
"""Seed: the number of steps and the order of the tasks of the expert alone, by the first release."""


def test_states_and_rewards_are_the_same_bit_for_bit() -> None:
    world, rng, digest = make_kitchens(3, threads=1), np.random.default_rng(7), hashlib.sha256()
    world.stage([1000, 1001, 1002])
    digest.update(world.reset().tobytes())
    for _ in range(60):
        states, rewards, _, _ = world.step(rng.uniform(-1, 1, (3, 9)).astype(np.float32))
        digest.update(np.ascontiguousarray(states).tobytes() + np.asarray(rewards, np.float32).tobytes())
    assert digest.hexdigest() == DIGEST


def test_the_expert_takes_as_many_steps_and_the_same_order() -> None:
    kitchens = make_kitchens(len(FINISHED), threads=1)
    kitchens.stage(list(FINISHED))
    world = SharedControl(kitchens, ExpertOperator(kitchens.tasks), FixedChannels(range(9), 9), 0)
    world.reset()
    ended: dict[int, tuple[int, tuple[str, ...]]] = {}
    for step in range(1, 281):
        _, _, dones, infos = world.step(np.zeros((len(FINISHED), 9), np.float32))
        for done, info in zip(dones, infos, strict=True):
            if done and info["seed"] not in ended:
                ended[info["seed"]] = (step, info["completed"])
        if len(ended) == len(FINISHED):
            break
    assert ended == FINISHED
