"""The world: kitchens, the scripted expert, a small reaching task, operators and shared control.

Importing this package registers the Gymnasium ids `autonomy/kitchen-mixed-v1`, `autonomy/kitchen-partial-v1`,
`autonomy/kitchen-complete-v1` (four tasks each) and `autonomy/kitchen-v1` (any subset of the seven tasks:
`tasks=[...]`), and `autonomy/reach-v1` (`objects=3`).
"""

from __future__ import annotations

import gymnasium

from envs.rendering import drop_broken_backend

MAX_EPISODE_STEPS = 280
REACH_STEPS = 40


def _register() -> None:
    for name in ("mixed", "partial", "complete"):
        gymnasium.register(
            id=f"autonomy/kitchen-{name}-v1",
            entry_point="envs.kitchen.single:Kitchen",
            max_episode_steps=MAX_EPISODE_STEPS,
            kwargs={"tasks": name},
        )
    gymnasium.register(
        id="autonomy/kitchen-v1", entry_point="envs.kitchen.single:Kitchen", max_episode_steps=MAX_EPISODE_STEPS
    )
    gymnasium.register(id="autonomy/reach-v1", entry_point="envs.reach:Reach", max_episode_steps=REACH_STEPS)


drop_broken_backend()
_register()
