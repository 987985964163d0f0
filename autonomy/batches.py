"""Training rows, and how a batch is drawn from them: as single rows, or as windows of consecutive rows."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from autonomy.checks import whole
from autonomy.types import Demonstrations, Episode, UserError

UNKNOWN = -1
"""The intent of a row of an episode without labels."""


class _Columns(NamedTuple):
    states: Tensor
    actions: Tensor
    intents: Tensor
    before: Tensor
    first: Tensor
    weights: Tensor


class Rows(_Columns):
    """Training rows on the device that trains, one beside the other in the order of their episodes.

    `states` (N, S) are in the data's units and `actions` (N, D) in [-1, 1]. `intents` (N,) int64 are indices into the
    demonstrations' K intents, K for none of them, -1 for an episode without labels; `before` (N,) is the intent of the
    row before in the same episode, or the row's own where `first` (N,) bool says that an episode begins. By default
    nothing is known of intents, and every row is an episode of its own. Rows are drawn in proportion to their `weights`
    (N,), by default 1. In a batch of B windows all have (B, W) for N.
    """

    __slots__ = ()

    def __new__(
        cls,
        states: Tensor,
        actions: Tensor,
        intents: Tensor | None = None,
        before: Tensor | None = None,
        first: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Rows:
        shape, device = states.shape[:-1], states.device
        unknown = torch.full(shape, UNKNOWN, device=device)
        return super().__new__(
            cls,
            states,
            actions,
            unknown if intents is None else intents,
            unknown if before is None else before,
            torch.ones(shape, dtype=torch.bool, device=device) if first is None else first,
            torch.ones(shape, device=device) if weights is None else weights,
        )

    @classmethod
    def of(cls, demonstrations: Demonstrations, device: torch.device | str = "cpu") -> Rows:
        """All rows of the demonstrations, episode after episode."""
        intents = [_intents(episode, len(demonstrations.intents)) for episode in demonstrations]
        before = [np.concatenate([own[:1], own[:-1]]) for own in intents]
        first = [np.arange(len(episode)) == 0 for episode in demonstrations]
        weights = [np.full(len(episode), episode.weight, np.float32) for episode in demonstrations]
        columns = (*demonstrations.rows(), *(np.concatenate(lots) for lots in (intents, before, first, weights)))
        return cls(*(torch.from_numpy(column).to(device) for column in columns))

    def at(self, index: Tensor) -> Rows:
        """The rows that `index` names, (B,), or windows of them, (B, W)."""
        return Rows(*(column[index] for column in self))


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """The rows of every other episode, from the first one on, and those of the episodes between."""
    odd = (rows.first.long().cumsum(0) - 1) % 2 == 1
    return Rows(*(column[~odd] for column in rows)), Rows(*(column[odd] for column in rows))


def _intents(episode: Episode, none: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The intents (T,) of an episode's rows, where a label of -1, no intent that has a name, becomes `none`."""
    if episode.intents is None:
        return np.full(len(episode), UNKNOWN)
    return np.where(episode.intents < 0, none, episode.intents).astype(np.int64)


class Batches(abc.ABC):
    """How batches are made of training rows: as indices, drawn by a generator on the CPU."""

    @abc.abstractmethod
    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        """The index of a batch of about `rows` rows, drawn with replacement in proportion to the rows' weights."""

    @abc.abstractmethod
    def all(self) -> Tensor:
        """The index of every row, in the shape of a batch."""

    @classmethod
    def of(cls, model: nn.Module, rows: Rows) -> Batches:
        """What `model` is trained on: windows of `model.window` rows, or single rows when it has none, or 1."""
        window = getattr(model, "window", 1)
        return SingleRows(rows) if window == 1 else Windows(rows, window)


class Lots:
    """Draws whole numbers below N in proportion to `weights` (N,); alike where these are all the same."""

    def __init__(self, weights: Tensor) -> None:
        self._total = len(weights)
        self._sums = None if bool((weights == weights[:1]).all()) else weights.cpu().double().cumsum(0)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        if self._sums is None:
            return torch.randint(self._total, (n,), generator=generator)
        levels = torch.rand(n, dtype=torch.float64, generator=generator) * self._sums[-1]
        return torch.searchsorted(self._sums, levels, right=True).clamp_(max=self._total - 1)


class SingleRows(Batches):
    """Batches of rows, (B,)."""

    def __init__(self, rows: Rows) -> None:
        self._total, self._lots = len(rows.states), Lots(rows.weights)

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        return self._lots.draw(rows, generator)

    def all(self) -> Tensor:
        return torch.arange(self._total)


class Windows(Batches):
    """Batches of windows, (B, W): W consecutive rows of one episode each, so that B is a Wth of the rows.

    A window may begin wherever W rows are left. Raises `UserError` when no episode has as many.
    """

    def __init__(self, rows: Rows, window: int) -> None:
        self.window = whole("window", window, 1)
        lengths = torch.diff(rows.first.cpu().nonzero().squeeze(1), append=torch.tensor([len(rows.first)]))
        if not (lengths >= self.window).any():
            raise UserError(
                f"no episode has the {self.window} rows of a window; the longest has {int(lengths.max())},"
                f" so the valid windows are 1 to {int(lengths.max())}"
            )
        position = torch.cat([torch.arange(length) for length in lengths.tolist()])
        left = lengths.repeat_interleave(lengths) - position
        self._starts = (left >= self.window).nonzero().squeeze(1)
        self._lots = Lots(rows.weights.cpu()[self._starts])
        self._apart = ((left >= self.window) & (position % self.window == 0)).nonzero().squeeze(1)

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        windows = max(1, rows // self.window)
        return self._index(self._starts[self._lots.draw(windows, generator)])

    def all(self) -> Tensor:
        """Windows that do not overlap; what is left at an episode's end is left out."""
        return self._index(self._apart)

    def _index(self, starts: Tensor) -> Tensor:
        return starts[:, None] + torch.arange(self.window)
