"""The experiment `ablate`: from the names of ideas to assistants, variants and cells, by the catalogue of ideas."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from autonomy.checks import choice
from autonomy.types import UserError

PLAIN = "mac"
"""What every idea changes, and stands beside."""
ALL = "all"


def with_ideas(cfg: DictConfig) -> DictConfig:
    """Return `cfg` (configs/benchmark/benchmark.yaml) with what its `ideas` stand for, or itself without a catalogue.

    The name gets the ideas behind it, the variants those of the ideas before those of `cfg`; assistants and cells that
    are null become mac with these variants, and all cells of the ideas, each one once. Raises `UserError` for unknown
    ideas.
    """
    if "catalogue" not in cfg:
        return cfg
    catalogue: Any = OmegaConf.to_container(cfg.catalogue, resolve=True)
    ideas = [catalogue[name] for name in _names(cfg.ideas, catalogue)]
    variants = {name: overrides for idea in ideas for name, overrides in idea["variants"].items()}
    cells = [cell for idea in ideas for cell in idea.get("cells", list(cfg.cells_of_ideas))]
    filled = cfg.copy()
    filled.name = "-".join([cfg.name, *([cfg.ideas] if cfg.ideas == ALL else cfg.ideas)])
    filled.variants = {**variants, **cfg.variants}
    filled.assistants = [PLAIN, *variants] if cfg.assistants is None else cfg.assistants
    filled.cells = _once(cells) if cfg.cells is None else cfg.cells
    return filled


def _names(ideas: Any, catalogue: dict[str, Any]) -> list[str]:
    """The ideas that are meant: `all` means those that can share a table, as they have no cells of their own."""
    if ideas == ALL:
        return [name for name, idea in catalogue.items() if "cells" not in idea]
    if not OmegaConf.is_list(ideas) or not ideas:
        raise UserError(f"ideas must be all or a list such as [gate,members], got {ideas!r}")
    names = [choice("idea", name, tuple(catalogue)) for name in ideas]
    if len(set(names)) < len(names):
        raise UserError(f"ideas must be different from each other, got {names}")
    return names


def _once(cells: list[Any]) -> list[list[str]]:
    return [list(cell) for cell in dict.fromkeys(map(tuple, cells))]
