"""Densities that answer by one-dimensional conditionals along a path; what they share, whatever the network is."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import torch
from torch import Tensor

from autonomy.density.base import Density
from autonomy.density.conditional import Conditional
from autonomy.density.protocols import Chain, DecompositionProtocol

MEMORY = 64 * 2**20
"""Bytes of activations that one forward pass of many nodes may take."""
Step = tuple[Tensor, Tensor, Conditional]
"""Rows (N,), the dimension (N,) that comes next in each, and what is known about its value."""


class AutoregressiveDensity(Density):
    """log p(x_q | x_e, c) = sum_i log p(x_i | x_e, x_q before i, c), along the path that `protocol` lays.

    A path (B, D) is an order of all dimensions, each row the places of its dimensions: the evidence first, then the
    query. All steps of all paths go through one batched forward pass, cut into chunks of `MEMORY` bytes.
    """

    protocol: DecompositionProtocol

    @abc.abstractmethod
    def step(self, x: Tensor, path: Tensor, dims: Tensor, context: Tensor) -> Conditional:
        """p(x_d | the values before d on the path, c), batch shape (N,), each for its own dimension `dims` (N,)."""

    @abc.abstractmethod
    def _step_bytes(self) -> int:
        """Memory that one row takes in `step`."""

    def conditionals(self, x: Tensor, evidence: Tensor, context: Tensor) -> Conditional:
        """p(x_i | x_e, c) for every i by itself, batch shape (B, D); meaningless where i is in e."""
        rows, dim = x.shape
        dims = torch.arange(dim, device=x.device).repeat(rows)
        x, evidence, context = (tensor.repeat_interleave(dim, 0) for tensor in (x, evidence, context))
        asked = torch.nn.functional.one_hot(dims, dim).bool() & ~evidence
        return self.step(x, self._path(evidence, asked), dims, context).view(rows, dim)

    def _log_prob(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, ranks: Tensor | None = None
    ) -> Tensor:
        if ranks is not None:
            return self._chain(x, Chain(1, evidence, query, query), context, ranks)
        total = x.new_zeros(len(x))
        for chain in self.protocol.chains(query, evidence):
            total = total + chain.sign * self._chain(x, chain, context)
        return total

    def _chain(self, x: Tensor, chain: Chain, context: Tensor, ranks: Tensor | None = None) -> Tensor:
        """The sum (B,) over the counted dimensions, without its sign."""
        path = self._path(chain.start, chain.added, ranks)
        dims, rows = chain.counted.T.nonzero(as_tuple=True)  # all rows of one dimension, then those of the next
        if not len(rows):
            return x.new_zeros(len(x))
        size = max(1, MEMORY // self._step_bytes())
        terms = [
            self.step(x[row], path[row], dim, context[row]).log_prob(x[row, dim])
            for row, dim in zip(rows.split(size), dims.split(size), strict=True)
        ]
        return x.new_zeros(len(x)).index_add(0, rows, torch.cat(terms))

    def _path(self, first: Tensor, then: Tensor, ranks: Tensor | None = None) -> Tensor:
        """The places (B, D) of all dimensions: those of `first`, those of `then`, the rest, each lot in its order."""
        ranks = self.protocol.ranks.to(first.device) if ranks is None else ranks
        lots = torch.where(first, 0, torch.where(then, 1, 2))
        return (lots * self.dim + ranks).argsort(1).argsort(1)

    @torch.no_grad()
    def _complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None
    ) -> Tensor:
        x = torch.where(evidence, x, 0.0)
        for rows, dims, conditional in self._walk(x, ~evidence, evidence, context):
            x[rows, dims] = conditional.pick(pick, generator)
        return x

    def _log_prob_of_draw(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """One pass a dimension gives both the value and its density; nothing beside the query is drawn."""
        x, total = torch.where(evidence, x, 0.0), x.new_zeros(len(x))
        for rows, dims, conditional in self._walk(x, query, evidence, context):
            x[rows, dims] = conditional.sample(generator)
            total[rows] += conditional.log_prob(x[rows, dims])
        return total

    def _walk(self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor) -> Iterator[Step]:
        """The steps from the evidence through the query; the caller fills x in before it asks for the next one."""
        path, first, last = self._path(evidence, query), evidence.sum(1), (evidence | query).sum(1)
        order = path.argsort(1)
        for count in range(int((last - first).amax()) if len(x) else 0):
            rows = (first + count < last).nonzero().squeeze(1)
            dims = order[rows, first[rows] + count]
            yield rows, dims, self.step(x[rows], path[rows], dims, context[rows])

    def _cdf(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        return self.conditionals(x, evidence, context).cdf(x)

    def _quantile(self, levels: Tensor, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        return self.conditionals(x, evidence, context).quantile(levels)
