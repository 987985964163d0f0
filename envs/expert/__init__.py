"""A scripted demonstrator for the seven kitchen tasks, in any order. `python -m envs.expert` measures it."""

from __future__ import annotations

from envs.expert.expert import Expert
from envs.expert.noise import ActionNoise

__all__ = ["ActionNoise", "Expert"]
