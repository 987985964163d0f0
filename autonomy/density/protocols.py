"""Decomposition protocols: the observed subsets that inference visits, and the law that trains exactly those."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.density.masks import MaskLaw
from autonomy.types import UserError

ROUNDS = 1000
"""Rejections in a row after which masks are taken to hold everything."""


def ascending_prefix(missing: Tensor, length: Tensor) -> Tensor:
    """The `length` (B,) smallest members of `missing` (B, D) bool."""
    return missing & (missing.cumsum(1) <= length[:, None])


def first(missing: Tensor) -> Tensor:
    """The smallest member of `missing` (B, D) as a one-hot (B, D) bool; all False where nothing is missing."""
    return missing & (missing.cumsum(1) == 1)


class CompletionProtocol:
    """Evidence first, then the missing dimensions in ascending order.

    Completing evidence e with m missing dimensions visits the nodes e + (first k missing), k = 0..m-1. The training law
    is P(e, k) proportional to M(e) 1[k < m(e)]: every step that inference takes is equally likely, so each edge is
    trained as often as it is walked (the tuning of masks to the queries of Shih et al. 2022, section 4, for conditional
    sampling). Drawn exactly, by rejection: k ~ U{0..D-1} is kept when k < m(e).
    """

    def __init__(self, masks: MaskLaw) -> None:
        self.masks, self.dim = masks, masks.dim

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, D) bool: the observed subsets of `n` steps of inference. Raises `UserError` when M holds everything."""
        nodes = torch.empty(n, self.dim, dtype=torch.bool)
        pending, rounds = torch.arange(n), 0
        while len(pending):
            rounds += 1
            if rounds > ROUNDS and len(pending) == n:
                raise UserError(
                    "the masks hold every dimension; choose ones that leave at least one dimension to the assistant"
                )
            evidence = self.masks.sample(len(pending), generator)
            step = torch.randint(self.dim, (len(pending),), generator=generator)
            kept = step < (~evidence).sum(1)
            nodes[pending[kept]] = (evidence | ascending_prefix(~evidence, step))[kept]
            pending = pending[~kept]
        return nodes
