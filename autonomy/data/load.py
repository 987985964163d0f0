"""Where every way to demonstrations ends: they are loaded, checked, and their actions scaled into a box."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from autonomy.checks import choice, number
from autonomy.data.source import Source
from autonomy.types import ActionBox, Demonstrations, Episode, UserError

BEYOND = ("clip", "refuse")


def demonstrations_of(config: DictConfig) -> Demonstrations:
    """The demonstrations of a composed or saved configs/train.yaml, which may lack `actions`."""
    options: Any = OmegaConf.to_container(config.get("actions") or OmegaConf.create(), resolve=True)
    return load(instantiate(config.data), **options)


def load(
    source: Source,
    box: ActionBox | Mapping[str, Sequence[float]] | None = None,
    margin: float = 0.05,
    beyond: str = "clip",
) -> Demonstrations:
    """The demonstrations of `source`, checked, with actions in [-1, 1] and the box that these stand for.

    `box` is the robot's, as an `ActionBox` or as its `low` and `high`. None: [-1, 1] where all recorded actions lie in
    it, and otherwise their own range with a share `margin` of it added on both sides; a dimension that never changes
    gets 1 on both sides. Recorded actions that lie beyond it are clipped, or refused when `beyond` says so. Raises
    `UserError` for rows that are no finite vectors of the same sizes everywhere.
    """
    choice("actions.beyond", beyond, BEYOND)
    number("actions.margin", margin, 0)
    demonstrations = source.load()
    for index, episode in enumerate(demonstrations):
        _check(f"{demonstrations.source}, episode {index}", episode, demonstrations.episodes[0])
    if demonstrations.box is not None:
        return demonstrations
    actions = np.concatenate([episode.actions for episode in demonstrations])
    given = ActionBox(*(tuple(box[end]) for end in ("low", "high"))) if isinstance(box, Mapping) else box
    return _scaled(demonstrations, given or _box_of(actions, margin), beyond)


def _check(where: str, episode: Episode, first: Episode) -> None:
    for part in ("states", "actions"):
        values, width = np.asarray(getattr(episode, part)), np.shape(getattr(first, part))[-1:]
        if values.ndim != 2 or values.dtype.kind not in "fiu" or values.shape[1:] != width or not values.size:
            raise UserError(
                f"{where}: {part} have shape {values.shape} and type {values.dtype}; they must be vectors of numbers, "
                f"(steps, {width[0] if width else 'width'}) like those of the first episode"
            )
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            row, dim = wrong[0]
            raise UserError(
                f"{where}: {part} are {values[row, dim]} in row {row}, dimension {dim}; they must be finite"
            )
    if len(episode.states) != len(episode.actions):
        raise UserError(
            f"{where}: {len(episode.states)} states and {len(episode.actions)} actions; a step has one each"
        )


def _box_of(actions: NDArray[Any], margin: float) -> ActionBox:
    low, high = actions.min(0).astype(np.float64), actions.max(0).astype(np.float64)
    if (low >= -1).all() and (high <= 1).all():
        return ActionBox.unit(actions.shape[1])
    more = np.where(high > low, margin * (high - low), 1.0)
    return ActionBox(tuple((low - more).tolist()), tuple((high + more).tolist()))


def _scaled(demonstrations: Demonstrations, box: ActionBox, beyond: str) -> Demonstrations:
    width = demonstrations.episodes[0].actions.shape[1]
    if len(box.low) != width:
        raise UserError(f"the box of actions has {len(box.low)} dimensions, the actions of the data have {width}")
    scaled = [box.scaled(episode.actions) for episode in demonstrations]
    outside = np.concatenate([np.abs(actions) > 1 for actions in scaled])
    if beyond == "refuse" and outside.any():
        row, dim = np.argwhere(outside)[0]
        raise UserError(
            f"{demonstrations.source}: the action in row {row}, dimension {dim} lies beyond [{box.low[dim]:g}, "
            f"{box.high[dim]:g}]; actions.beyond=clip clips such actions, actions.box gives another range"
        )
    episodes = tuple(
        dataclasses.replace(episode, actions=np.ascontiguousarray(actions.clip(-1, 1), np.float32))
        for episode, actions in zip(demonstrations, scaled, strict=True)
    )
    shares = tuple(outside.mean(0).tolist()) if outside.any() else ()
    return dataclasses.replace(demonstrations, episodes=episodes, box=box, clipped=shares)
