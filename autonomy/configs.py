"""Where the configurations are, and how a file of a group is read without Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def has(group: str, name: str) -> bool:
    """Say whether there is a file of that name in a group of configurations."""
    return (CONFIGS / group / f"{name}.yaml").is_file()


def read(group: str, name: str) -> Any:
    """A file of a group, laid over those that its `defaults` name; nothing is resolved."""
    own: Any = OmegaConf.load(CONFIGS / group / f"{name}.yaml")
    below = [read(group, str(entry)) for entry in own.pop("defaults", []) if entry != "_self_"]
    return OmegaConf.merge(*below, own)
