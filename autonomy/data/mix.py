"""Several sources as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from autonomy.checks import number
from autonomy.data.labels import Labels, unify
from autonomy.data.source import Source
from autonomy.types import Demonstrations, Episode, UserError


class MixSource:
    """The demonstrations of several `sources`, one after the other.

    `weights`: how much oftener than those of weight 1 a source's rows are drawn in training; None: all alike. Tasks,
    and names of intents, are those of all sources. `load` raises `UserError` for sources whose states or actions have
    different widths, or whose actions are scaled in different ways.
    """

    def __init__(self, sources: Sequence[Source], weights: Sequence[float] | None = None) -> None:
        if not sources:
            raise UserError("data=mix needs data.sources, a list of one or more sources")
        self._sources, self._weights = list(sources), [1.0] * len(sources) if weights is None else list(weights)
        if len(self._weights) != len(self._sources):
            raise UserError(f"data.weights are {len(self._weights)} for {len(self._sources)} sources; each needs one")
        for weight in self._weights:
            number("data.weights", weight, 0, above=True)

    def load(self) -> Demonstrations:
        """All episodes of all sources."""
        parts = [source.load() for source in self._sources]
        _check_alike(parts)
        pairs = [
            (dataclasses.replace(episode, weight=episode.weight * weight), _labels(episode, part))
            for part, weight in zip(parts, self._weights, strict=True)
            for episode in part
        ]
        intents, names = unify([labels for _, labels in pairs])
        episodes = (dataclasses.replace(e, intents=own) for (e, _), own in zip(pairs, intents, strict=True))
        tasks = tuple(dict.fromkeys(task for part in parts for task in part.tasks))
        concerns = {name: dims for part in parts for name, dims in part.concerns.items()}
        source = "mix: " + "; ".join(part.source for part in parts)
        return dataclasses.replace(
            parts[0], episodes=tuple(episodes), tasks=tasks, source=source, intents=names, concerns=concerns
        )


def _labels(episode: Episode, part: Demonstrations) -> Labels | None:
    return None if episode.intents is None else Labels(episode.intents, part.intents)


def _check_alike(parts: Sequence[Demonstrations]) -> None:
    """Raise `UserError` unless all mean the same by a state and an action."""
    first = parts[0]
    for part in parts[1:]:
        for what in ("states", "actions"):
            widths = [getattr(one.episodes[0], what).shape[1:] for one in (first, part)]
            if widths[0] != widths[1]:
                raise UserError(
                    f"the {what} of {first.source} have shape {widths[0]} and those of {part.source} {widths[1]}; "
                    "sources that are mixed must have the same"
                )
        if part.box != first.box:
            raise UserError(f"{first.source} and {part.source} scale their actions in different ways")
