"""Query distributions M: which subsets of the dimensions will be given as evidence.

Everything is drawn from an explicit `torch.Generator`; masks are (n, D) bool, True where the value is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from autonomy.types import Channels


class MaskLaw(Protocol):
    """A distribution over subsets of D dimensions."""

    dim: int

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, D) bool."""
        ...


class CardinalityMasks(MaskLaw):
    """The paper's test masks: |e| ~ U{low..high}, then a uniform subset of that size (Shih et al. 2022, section 4)."""

    def __init__(self, dim: int, low: int = 0, high: int | None = None) -> None:
        high = dim if high is None else high
        if not 0 <= low <= high <= dim:
            raise ValueError(f"cardinalities need 0 <= low <= high <= {dim}, got {low}..{high}")
        self.dim, self._low, self._high = dim, low, high

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        size = torch.randint(self._low, self._high + 1, (n, 1), generator=generator)
        ranks = torch.rand(n, self.dim, generator=generator).argsort(1).argsort(1)
        return ranks < size


class ChannelMasks(MaskLaw):
    """Whatever an operator's channels can hold: one draw of `channels` a mask."""

    def __init__(self, dim: int, channels: Channels) -> None:
        self.dim, self._channels = dim, channels

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**62, (), generator=generator))
        return torch.from_numpy(self._channels.sample(n, np.random.default_rng(seed)))


class MixtureMasks(MaskLaw):
    """One of several laws a row, chosen by weight. Raises ValueError for weights that are not positive."""

    def __init__(self, laws: Sequence[MaskLaw], weights: Sequence[float] | None = None) -> None:
        weights = [1.0] * len(laws) if weights is None else list(weights)
        if len(weights) != len(laws) or not laws or min(weights) <= 0:
            raise ValueError(f"{len(laws)} mask laws need as many positive weights, got {weights}")
        if len({law.dim for law in laws}) != 1:
            raise ValueError(f"mask laws of different widths: {[law.dim for law in laws]}")
        self.dim, self._laws, self._weights = laws[0].dim, list(laws), torch.tensor(weights, dtype=torch.float64)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        chosen = torch.multinomial(self._weights, max(n, 1), replacement=True, generator=generator)[:n]
        masks = torch.empty(n, self.dim, dtype=torch.bool)
        for index, law in enumerate(self._laws):
            rows = chosen == index
            masks[rows] = law.sample(int(rows.sum()), generator)
        return masks
