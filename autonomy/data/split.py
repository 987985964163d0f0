"""Splitting demonstrations by episode, never by row: rows of one episode are near-copies of each other."""

from __future__ import annotations

import dataclasses

import numpy as np

from autonomy.checks import number
from autonomy.types import Demonstrations, UserError


def split(
    demonstrations: Demonstrations, validation_fraction: float, rng: np.random.Generator
) -> tuple[Demonstrations, Demonstrations]:
    """Training and validation episodes, each in their original order; at least one of each.

    Raises `UserError` unless 0 < validation_fraction < 1 and there are two episodes or more.
    """
    fraction = number("validation_fraction", validation_fraction, 0.0, 1.0, above=True)
    total = len(demonstrations)
    if total < 2 or fraction == 1.0:
        raise UserError(
            f"cannot hold back {fraction:g} of {total} episodes for validation; "
            "a split needs two episodes or more and a validation_fraction below 1"
        )
    n_validation = min(max(round(total * fraction), 1), total - 1)
    held_back = np.isin(np.arange(total), rng.permutation(total)[:n_validation])
    return _select(demonstrations, ~held_back), _select(demonstrations, held_back)


def _select(demonstrations: Demonstrations, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Demonstrations:
    chosen = tuple(episode for episode, kept in zip(demonstrations, keep, strict=True) if kept)
    return dataclasses.replace(demonstrations, episodes=chosen)
