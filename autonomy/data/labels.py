"""Labels of what each step of a demonstration is for: their names, their checks and their stretches."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonomy.types import UserError

NUMBERS = tuple(map(str, range(100)))
"""The names of a data set's own labels that are numbers and nothing else."""


class Labels(NamedTuple):
    """The labels of an episode or a file: `values` (T,) are indices into `names`, -1 for none of them."""

    values: NDArray[np.int64]
    names: tuple[str, ...]

    def part(self, start: int, stop: int) -> Labels:
        """The labels of the rows from `start` to before `stop`."""
        return Labels(self.values[start:stop], self.names)


class Stretch(NamedTuple):
    """A run of `length` steps with the same `intent`, which is -1 for none."""

    intent: int
    length: int


def check_key(intents: Any) -> str | None:
    """`intents` itself, where a data set keeps its own labels. Raises `UserError` unless it is a name or None."""
    if intents is not None and (not isinstance(intents, str) or not intents):
        raise UserError(f"data.intents must be the name under which the data keep labels, or null, got {intents!r}")
    return intents


def check_labels(where: str, column: NDArray[Any], lengths: Sequence[int], names: tuple[str, ...] = NUMBERS) -> Labels:
    """A data set's own labels: `column` (N,) or (N, 1) of whole numbers, N one of `lengths`, all of them kept.

    Raises `UserError`, in which `where` names the column, for another shape or type and for an unknown label.
    """
    if column.dtype.kind not in "iu" or column.shape not in [s for n in lengths for s in ((n,), (n, 1))]:
        raise UserError(
            f"{where} has shape {column.shape} and type {column.dtype}; "
            f"labels are {' or '.join(f'({length},)' for length in lengths)} whole numbers, one a step"
        )
    values = column.reshape(-1)
    wrong = np.flatnonzero((values < -1) | (values >= len(names)))
    if len(wrong):
        raise UserError(
            f"{where}: label {values[wrong[0]]} in row {wrong[0]}; "
            f"the valid ones are -1 (none) and 0 to {len(names) - 1}, one for each name"
        )
    return Labels(values.astype(np.int64), names)


def unify(labels: Sequence[Labels | None]) -> tuple[list[NDArray[np.int64] | None], tuple[str, ...]]:
    """The values of all episodes as indices into the same names: those that occur, in the order of naming.

    An episode without labels stays None. Equal names are one.
    """
    given = [entry for entry in labels if entry is not None]
    occurring = {entry.names[value] for entry in given for value in np.unique(entry.values) if value >= 0}
    named = dict.fromkeys(itertools.chain.from_iterable(dict.fromkeys(entry.names for entry in given)))
    names = tuple(name for name in named if name in occurring)
    return [None if entry is None else _translate(entry, names) for entry in labels], names


def _translate(labels: Labels, names: tuple[str, ...]) -> NDArray[np.int64]:
    index = {name: number for number, name in enumerate(names)}
    table = np.array([*(index.get(name, -1) for name in labels.names), -1], np.int64)  # -1 picks the last one
    return table[labels.values]


def stretches(intents: NDArray[np.int64]) -> list[Stretch]:
    """The stretches of an episode's labels (T,), in order; their lengths sum to T."""
    starts = np.flatnonzero(np.diff(intents, prepend=-2))  # no label is -2, so the first row is a start
    lengths = np.diff(starts, append=len(intents))
    return [Stretch(int(intents[start]), int(length)) for start, length in zip(starts, lengths, strict=True)]
