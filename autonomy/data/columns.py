"""Flat tables of steps, as HDF5 and npz files hold them: columns by name, episodes one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.data.labels import Labels
from autonomy.data.source import Recording
from autonomy.types import UserError

Names = str | Sequence[str]


def columns(where: str, kind: str, names: Names, read: Callable[[str], NDArray[Any] | None]) -> NDArray[Any]:
    """The named arrays (N, ...) side by side, (N, sum of widths); a vector (N,) is one column.

    `read` gives the array of a name, or None where there is none. Raises `UserError`, which says that they are `kind`
    in the file `where`, for names that are not there and for arrays that are no numbers, or images.
    """
    parts = []
    for name in [names] if isinstance(names, str) else names:
        array = read(name)
        if array is None:
            raise UserError(f"{where}: no {name!r} in it; data.{kind} names the arrays (N, width) that are {kind}")
        if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
            raise UserError(
                f"{where}: {name} has shape {array.shape} and type {array.dtype}; {kind} are vectors of numbers "
                "(N, width), images and texts are not supported"
            )
        parts.append(array if array.ndim == 2 else array[:, None])
    if len({len(part) for part in parts}) > 1:
        raise UserError(f"{where}: the arrays of {kind} have {', '.join(str(len(part)) for part in parts)} rows")
    return np.concatenate(parts, axis=1)


def recordings(
    where: str, states: NDArray[Any], actions: NDArray[Any], stops: Iterable[int], labels: Labels | None
) -> Iterator[Recording]:
    """The episodes that end before the rows `stops`, in order, with their labels; those of no step are left out."""
    for number, (start, stop) in enumerate(itertools.pairwise([0, *stops])):
        if stop > start:
            own = labels and labels.part(start, stop)
            yield Recording(f"{where}, episode {number}", states[start:stop], actions[start:stop], own)
