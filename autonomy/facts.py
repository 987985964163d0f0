"""What of a training's configuration its world and its data decide, and nobody types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autonomy.types import ActionBox, Demonstrations, UserError


def is_playable(env: Mapping[str, Any] | DictConfig) -> bool:
    """Say whether an environment has a simulator: a `world` of null, as in env=recorded, means that it has none."""
    return not ("world" in env and env["world"] is None)


def take_from_world(config: DictConfig) -> None:
    """Write into `config` the sizes and the box of actions of its `env.world`, where it has one.

    Raises Hydra's error for a world that cannot be made.
    """
    box = measure(config.env)
    if box is not None and OmegaConf.select(config, "actions.box") is None:
        OmegaConf.update(config, "actions.box", {"low": list(box.low), "high": list(box.high)}, force_add=True)


def measure(env: DictConfig) -> ActionBox | None:
    """Write what `world` knows into `env`, a configuration of that group, and return its box; None without a world.

    These are the sizes, `period`, seconds a decision, `score`, what the reward of an episode is, and `box`, what
    actions of -1 and 1 stand for.

    Raises `UserError` for sizes in `env` that are not the world's, Hydra's error for a world that cannot be made.
    """
    from hydra.utils import instantiate

    if env.get("world") is None:
        return None
    world: Any = instantiate(env.world, n=1)
    for key, space in (("state_dim", world.observation_space), ("action_dim", world.action_space)):
        _fill(env, key, space.shape[0])
    score = {key: getattr(world.score, key) for key in ("name", "low", "high")}
    box: ActionBox = world.box
    units = {"low": list(box.low), "high": list(box.high)}
    for key, value in {"period": float(world.period), "score": score, "box": units}.items():
        OmegaConf.update(env, key, value, force_add=True)
    world.close()
    return box


def _fill(env: DictConfig, key: str, size: int) -> None:
    """Write `size` where `env` leaves it open. Raises `UserError` where it says another."""
    if env.get(key) not in (None, size):
        raise UserError(f"env.{key} of env={env.name} is {size}, not {env[key]}; leave env.{key} out")
    OmegaConf.update(env, key, size, force_add=True)


def take_from_data(config: DictConfig, demonstrations: Demonstrations) -> None:
    """Write into `config` what the data decide: what actions stand for, sizes that no world has, and intents."""
    first, box = demonstrations.episodes[0], demonstrations.box
    if box is not None:
        OmegaConf.update(config, "actions.box", {"low": list(box.low), "high": list(box.high)}, force_add=True)
    for key, part in (("state_dim", first.states), ("action_dim", first.actions)):
        if OmegaConf.select(config, f"env.{key}") is None:
            OmegaConf.update(config, f"env.{key}", part.shape[1], force_add=True)
    _set_intents(config, demonstrations)


def _set_intents(config: DictConfig, demonstrations: Demonstrations) -> None:
    """Write into `config` which intents the demonstrations name, what they concern, and how much a policy reads.

    Says in one sentence on stderr what labels would add when there are none.
    """
    wanted = OmegaConf.select(config, "intent._target_") is not None
    if wanted and not demonstrations.intents:
        print(
            "note: the demonstrations have no labels of intents; with them the assistant would work out what the"
            " operator is after, and remember it from step to step",
            file=sys.stderr,
        )
    names = list(demonstrations.intents) if wanted else []
    OmegaConf.update(config, "intents", names, force_add=True)
    if names:
        concerns = [list(demonstrations.concerns.get(name, ())) for name in names]
        OmegaConf.update(config, "intent.concerns", concerns, force_add=True)
    OmegaConf.update(config, "inputs", config.env.state_dim + len(names), force_add=True)
