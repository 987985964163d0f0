"""Channels: which action dimensions an operator holds in an episode."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autonomy.density.masks import CardinalityMasks, FixedMasks, MaskLaw
from autonomy.types import Channels, Mask, UserError


def _check_dims(dims: Sequence[int], dim: int) -> None:
    if not isinstance(dims, Sequence) or isinstance(dims, str):
        raise UserError(f"channels {dims!r} are not a list such as [0,3]; the valid dimensions are 0 to {dim - 1}")
    wrong = [d for d in dims if isinstance(d, bool) or not isinstance(d, int) or not 0 <= d < dim]
    if wrong or len(set(dims)) != len(dims):
        raise UserError(f"channels {list(dims)} are not distinct action dimensions; the valid ones are 0 to {dim - 1}")


class FixedChannels(Channels):
    """The same dimensions in every episode. Raises `UserError` for a dimension outside 0..D-1."""

    def __init__(self, dims: Sequence[int], dim: int, name: str | None = None) -> None:
        _check_dims(dims, dim)
        self._dims = list(dims)
        self.name = name or f"dims-{'-'.join(map(str, dims))}"
        self._mask = np.isin(np.arange(dim), self._dims)

    def sample(self, n: int, rng: np.random.Generator) -> Mask:
        return np.tile(self._mask, (n, 1))

    def law(self) -> MaskLaw:
        """All the mass on the one set."""
        return FixedMasks([self._dims], len(self._mask))


class RandomChannels(Channels):
    """A uniformly drawn set of `k` dimensions, one draw an episode. Raises `UserError` unless 0 <= k <= D."""

    def __init__(self, k: int, dim: int, name: str | None = None) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= dim:
            raise UserError(f"random channels need k between 0 and {dim}, got {k!r}")
        self.name = name or f"random-{k}"
        self._k, self._dim = k, dim

    def sample(self, n: int, rng: np.random.Generator) -> Mask:
        ranks = rng.random((n, self._dim)).argsort(axis=1).argsort(axis=1)
        return np.asarray(ranks < self._k)

    def law(self) -> MaskLaw:
        """A uniform set of `k` dimensions."""
        return CardinalityMasks(self._dim, self._k, self._k)


def channel_names(dim: int, named: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the words for channels in an environment of `dim` action dimensions that names the sets `named`."""
    return [*sorted(named), "none", "all", *(f"random-{k}" for k in range(1, dim + 1))]


def parse_channels(value: Any, dim: int, named: Mapping[str, Sequence[int]]) -> Channels:
    """Return the channels that `value` stands for in an environment of `dim` action dimensions.

    A name in `named` stands for the dimensions that the environment calls so, `none` and `all` for none and all of
    them, `random-3` for three that are drawn in every episode, and a list such as [0, 3] for itself. The name of the
    result, such as `dims-0-3`, stands for the same channels again. Raises `UserError` for any other value.
    """
    fixed = {"none": [], "all": range(dim), **named}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return FixedChannels(value, dim)
    if isinstance(value, str) and value in fixed:
        return FixedChannels(fixed[value], dim, value)
    if drawn := re.fullmatch(r"random-(0|[1-9]\d*)", str(value)):
        if int(drawn[1]) <= dim:
            return RandomChannels(int(drawn[1]), dim)
    elif listed := re.fullmatch(r"dims-\d+(-\d+)*", str(value)):
        return FixedChannels([int(one) for one in listed[0].split("-")[1:]], dim)
    words = ", ".join([*sorted(named), "none", "all", f"random-1 to random-{dim}"])
    raise UserError(f"unknown channels {value!r}; the valid ones are {words}, or a list of dimensions such as [0]")
