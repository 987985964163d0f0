"""A scripted demonstrator for the seven kitchen tasks, in any order. `python -m envs.kitchen.expert` measures it."""

from __future__ import annotations

from envs.kitchen.expert.expert import Expert
from envs.kitchen.expert.noise import ActionNoise

__all__ = ["ActionNoise", "Expert"]
