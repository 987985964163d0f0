"""Query distributions M: laws over subsets of the dimensions, to be asked about or to be given as evidence.

Every law knows its cardinalities, so that it can be tilted by them exactly, without drawing too many and throwing some
away. Masks are (n, D) bool, True for a member, and come from an explicit `torch.Generator`, on its device.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
import torch
from torch import Tensor

from autonomy.density.lattice import categories, codes, subsets, uniform_subsets
from autonomy.types import Channels, UserError

DRAWS = 100_000
"""Draws by which channels without a law of their own are known."""
_CHUNK = 2**24


class MaskLaw(abc.ABC):
    """A distribution over subsets of D dimensions."""

    dim: int

    @abc.abstractmethod
    def cardinalities(self) -> Tensor:
        """P(|m| = t), (D + 1,) float64."""

    @abc.abstractmethod
    def sample(self, n: int, generator: torch.Generator, tilt: Tensor | None = None) -> Tensor:
        """(n, D) bool from M(m) tilt[|m|] / Z; `tilt` (D + 1,) >= 0, not zero wherever M has mass; None: from M."""

    @abc.abstractmethod
    def law(self) -> Tensor:
        """M as a table: the probabilities (2^D,) of all subsets by their code. Raises `UserError` for a large D."""

    @abc.abstractmethod
    def between(self, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
        """(B,) bool: has M a mask m with lower <= m <= upper, as sets (B, D), and at least `least` (B,) members?"""


class CardinalityMasks(MaskLaw):
    """A uniform cardinality in low..high, then a uniform subset of that size.

    With low = 1 these are the test masks of Shih et al. 2022, section 4. Raises `UserError` unless
    0 <= low <= high <= D.
    """

    def __init__(self, dim: int, low: int = 0, high: int | None = None) -> None:
        high = dim if high is None else high
        if not 0 <= low <= high <= dim:
            raise UserError(f"cardinalities need 0 <= low <= high <= {dim}, got {low}..{high}")
        self.dim, self._low, self._high = dim, low, high

    def cardinalities(self) -> Tensor:
        sizes = torch.arange(self.dim + 1)
        inside = (sizes >= self._low) & (sizes <= self._high)
        return inside.double() / inside.sum()

    def sample(self, n: int, generator: torch.Generator, tilt: Tensor | None = None) -> Tensor:
        weights = self.cardinalities() if tilt is None else self.cardinalities() * tilt
        return uniform_subsets(categories(weights, n, generator), self.dim, generator)

    def law(self) -> Tensor:
        sizes = subsets(self.dim).sum(1)
        ways = torch.tensor([comb(self.dim, t) for t in range(self.dim + 1)], dtype=torch.float64)
        return (self.cardinalities() / ways)[sizes]

    def between(self, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
        fewest = torch.maximum(lower.sum(1), least).clamp(min=self._low)
        return (fewest <= upper.sum(1).clamp(max=self._high)) & ~(lower & ~upper).any(1)


class FixedMasks(MaskLaw):
    """One of the listed subsets, by weight (default: all alike); each is a list of its dimensions.

    Raises `UserError` for no subsets, a dimension outside 0..D-1 and weights that do not fit.
    """

    def __init__(self, masks: Sequence[Sequence[int]], dim: int, weights: Sequence[float] | None = None) -> None:
        rows = [list(mask) for mask in masks]
        if not rows or any(not isinstance(d, int) or not 0 <= d < dim for row in rows for d in row):
            raise UserError(f"masks {rows} are not one or more lists of dimensions; the valid ones are 0 to {dim - 1}")
        self.dim, self._weights = dim, shares(weights, len(rows))
        self._masks = torch.zeros(len(rows), dim, dtype=torch.bool)
        for mask, row in zip(self._masks, rows, strict=True):
            mask[row] = True

    def cardinalities(self) -> Tensor:
        return torch.bincount(self._masks.sum(1), self._weights, self.dim + 1)

    def sample(self, n: int, generator: torch.Generator, tilt: Tensor | None = None) -> Tensor:
        weights = self._weights if tilt is None else self._weights * tilt[self._masks.sum(1)]
        return self._masks.to(generator.device)[categories(weights, n, generator)]

    def law(self) -> Tensor:
        return torch.bincount(codes(self._masks), self._weights, len(subsets(self.dim)))

    def between(self, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
        masks = self._masks.to(lower.device)
        rows = max(1, _CHUNK // masks.numel())
        parts = zip(lower.split(rows), upper.split(rows), least.split(rows), strict=True)
        return torch.cat([_any_between(masks, *part) for part in parts])


def _any_between(masks: Tensor, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
    outside = (lower[:, None] & ~masks) | (masks & ~upper[:, None])
    return (~outside.any(2) & (masks.sum(1) >= least[:, None])).any(1)


class ChannelMasks(MaskLaw):
    """Whatever an operator's channels can hold.

    Channels that have `law() -> MaskLaw` are known exactly; others by the frequencies of `DRAWS` draws.
    """

    def __init__(self, dim: int, channels: Channels) -> None:
        own = getattr(channels, "law", None)
        self.dim = dim
        self._law: MaskLaw = own() if own else _drawn(channels, dim)

    def cardinalities(self) -> Tensor:
        return self._law.cardinalities()

    def sample(self, n: int, generator: torch.Generator, tilt: Tensor | None = None) -> Tensor:
        return self._law.sample(n, generator, tilt)

    def law(self) -> Tensor:
        return self._law.law()

    def between(self, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
        return self._law.between(lower, upper, least)


def _drawn(channels: Channels, dim: int) -> FixedMasks:
    masks, counts = np.unique(channels.sample(DRAWS, np.random.default_rng(0)), axis=0, return_counts=True)
    return FixedMasks([np.flatnonzero(mask).tolist() for mask in masks], dim, counts.tolist())


class MixtureMasks(MaskLaw):
    """One of several laws a row, by weight. Raises `UserError` for weights that are not positive or other widths."""

    def __init__(self, laws: Sequence[MaskLaw], weights: Sequence[float] | None = None) -> None:
        self._laws, self._weights = list(laws), shares(weights, len(laws))
        if len({law.dim for law in laws}) != 1:
            raise UserError(f"mask laws of different widths: {[law.dim for law in laws]}")
        self.dim = laws[0].dim

    def cardinalities(self) -> Tensor:
        return self._weights @ torch.stack([law.cardinalities() for law in self._laws])

    def sample(self, n: int, generator: torch.Generator, tilt: Tensor | None = None) -> Tensor:
        chosen = categories(self._weights if tilt is None else self._weights * self._masses(tilt), n, generator)
        masks = torch.empty(n, self.dim, dtype=torch.bool, device=generator.device)
        for index, law in enumerate(self._laws):
            rows = chosen == index
            if rows.any():
                masks[rows] = law.sample(int(rows.sum()), generator, tilt)
        return masks

    def _masses(self, tilt: Tensor) -> Tensor:
        return torch.stack([law.cardinalities() @ tilt.double() for law in self._laws])

    def law(self) -> Tensor:
        return self._weights @ torch.stack([law.law() for law in self._laws])

    def between(self, lower: Tensor, upper: Tensor, least: Tensor) -> Tensor:
        return torch.stack([law.between(lower, upper, least) for law in self._laws]).any(0)


def shares(weights: Sequence[float] | None, n: int, what: str = "mask laws") -> Tensor:
    """(n,) float64 that sum to 1; equal ones for None. Raises `UserError` unless there are `n` >= 1 positive ones."""
    given = [1.0] * n if weights is None else list(weights)
    if len(given) != n or not n or min(given) <= 0:
        raise UserError(f"{n} {what} need as many positive weights, got {given}")
    return torch.tensor(given, dtype=torch.float64) / sum(given)


def operator_masks(dim: int, channels: Mapping[str, Sequence[int]] | None = None) -> MaskLaw:
    """Return the law of what operators hold: half of its mass lies on the sets that `channels` names, in equal parts.

    The other half lies on a uniform number of dimensions and a uniform set of that size; all of it without names.
    """
    uniform, named = CardinalityMasks(dim), [FixedMasks([list(dims)], dim) for dims in (channels or {}).values()]
    return MixtureMasks([*named, uniform], [1.0] * len(named) + [float(len(named))]) if named else uniform
