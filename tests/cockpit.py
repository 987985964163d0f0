"""For tests of the cockpit: its configuration as the command line composes it."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from autonomy.cli import CONFIGS


def configured(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS / "cockpit"), version_base="1.3"):
        return compose("cockpit", list(overrides))
