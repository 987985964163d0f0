"""What densities are compared on: rows for training, validation and test, and the truth where it is known."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Protocol

import torch
from torch import Tensor

from autonomy.density.base import Density
from autonomy.fit import Rows


@dataclasses.dataclass(frozen=True)
class DensityData:
    """Rows of `x` (N, D), as `Rows.actions`, and of the context (N, C), as `Rows.states`.

    `clusters` (N_test,) numbers the test rows that belong together, such as those of one episode; None when every row
    stands for itself. `truth` is the density that the rows were drawn from, if that is known.
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows
    clusters: Tensor | None = None
    truth: Density | None = None

    @property
    def dim(self) -> int:
        """D."""
        return self.train.actions.shape[1]

    @property
    def context_dim(self) -> int:
        """C."""
        return self.train.states.shape[1]

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of all rows, so that results of other data are never taken for these."""
        digest = hashlib.sha256()
        parts = (self.train, self.validation, self.test)
        for part in (column for rows in parts for column in (rows.states, rows.actions)):
            digest.update(repr(tuple(part.shape)).encode())
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """One line."""
        rows = " / ".join(f"{len(part.actions):,}" for part in (self.train, self.validation, self.test))
        context = f", {self.context_dim} dimensions of context" if self.context_dim else ""
        clusters = "" if self.clusters is None else f" (of {len(self.clusters.unique())} episodes)"
        split = f"{rows} rows to train, validate, test{clusters}"
        return f"{self.name}: {self.dim} dimensions{context}; {split}; hash {self.content_hash[:12]}"


class DensitySource(Protocol):
    """Where rows come from. Its constructor's signature is its configuration, a file of configs/density/data."""

    def load(self) -> DensityData:
        """All of them. Raises `UserError` for data that are missing, damaged or of the wrong shape."""
        ...


def plain_rows(x: Tensor) -> Rows:
    """Rows without a context, in single precision."""
    return Rows(torch.zeros(len(x), 0), x.float())
