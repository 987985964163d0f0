"""A video of the expert at work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import imageio

import envs  # noqa: F401  (registers the ids)
from autonomy.types import UserError
from envs.kitchen.expert.measure import Style, Trial, begin
from envs.kitchen.expert.noise import perturbed_action
from envs.kitchen.tasks import TASK_SETS

_SIZE = 480
_FORMATS = (".mp4", ".gif")


def film(path: Path, seed: int, style: Style) -> None:
    """Write one perturbed episode of the kitchen-mixed tasks to `path`. Raises `UserError` for an unusable path.

    Rendering must work here: ask `envs.rendering.rendering_problem` first.
    """
    if path.suffix not in _FORMATS or not path.parent.is_dir():
        raise UserError(f"cannot film to {path}: it must end in {' or '.join(_FORMATS)}, in a folder that exists")
    trial = Trial(TASK_SETS["mixed"], seed, style)
    env = gymnasium.make("autonomy/kitchen-mixed-v1", render_mode="rgb_array", width=_SIZE, height=_SIZE)
    env.reset(seed=seed)
    expert, offsets = begin(trial)
    ended = False
    writer: Any
    with imageio.get_writer(path, fps=env.metadata["render_fps"]) as writer:
        while not ended:
            writer.append_data(env.render())
            action = perturbed_action(expert.act(env.unwrapped), next(offsets))
            _, _, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
    env.close()
