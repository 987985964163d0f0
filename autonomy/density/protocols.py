"""Decomposition protocols: how queries split into one-dimensional conditionals, and the law that trains exactly those.

The paper's picture: subsets are the nodes of a lattice, "add dimension i to e" is an edge, and a network for
p(x_i | x_e) answers edges. A protocol walks each query along one path. Training visits its nodes and no others (Shih,
Sadigh, Ermon, NeurIPS 2022, sections 3 and 4).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from autonomy.checks import choice
from autonomy.density.lattice import below, categories, codes, cut, rising, subsets
from autonomy.density.masks import CardinalityMasks, MaskLaw, shares
from autonomy.density.orders import Order, ranks_of
from autonomy.types import UserError

WEIGHTINGS = ("query", "cardinality", "step", "early")
"""How the steps of all paths are weighted in training. For step j = 0..L-1 of a query's path, with k = |node|:

query: 1 / L, every query alike, then a uniform step of it; cardinality: (k + 1) / L, the authors' cardinality
reweighting of that; step: 1, every step of inference alike, so that an edge is trained as often as it is walked;
early: L - j, the number of steps that build on this one's value, its own included.
"""


class Steps(NamedTuple):
    """Steps of inference: the observed sets `known` (B, D) and the dimension that comes `following`, one-hot (B, D)."""

    known: Tensor
    following: Tensor


class Chain(NamedTuple):
    """`sign` times the sum of log p(x_i | x_node) over the dimensions `counted` (B, D) of the path that adds `added`
    (B, D) to `start` (B, D), one after the other."""

    sign: int
    start: Tensor
    added: Tensor
    counted: Tensor


class DecompositionProtocol(abc.ABC):
    """A law over training nodes and a way to split queries. `ranks` (D,) is the order of the dimensions."""

    dim: int
    ranks: Tensor

    @abc.abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Steps:
        """`n` training steps, exactly from the law, on the device of `generator`."""

    @abc.abstractmethod
    def law(self) -> Tensor:
        """The training law as a table: the probabilities (2^D,) of all nodes. Raises `UserError` for a large D."""

    @abc.abstractmethod
    def trains(self, nodes: Tensor) -> Tensor:
        """(B,) bool: does training ever visit these nodes (B, D)? For any D."""

    @abc.abstractmethod
    def chains(self, query: Tensor, evidence: Tensor) -> list[Chain]:
        """log p(x_query | x_evidence) as a signed sum of paths; masks (B, D)."""


def _evidence_first(query: Tensor, evidence: Tensor) -> list[Chain]:
    return [Chain(1, evidence, query, query)]


class AnyOrderProtocol(DecompositionProtocol):
    """Uniform orders, which train every edge: the objective of ARDM (Hoogeboom et al., ICLR 2022) and ACE.

    A node has a uniform cardinality k in 0..D-1, or one with P(k) proportional to k + 1 when `weighting` is
    "cardinality" and to D - k when it is "early", and is uniform given that. Queries walk from the evidence in the
    fixed `order`; `autonomy.density.bounds` averages over random ones.
    """

    def __init__(self, dim: int, order: Order = "natural", weighting: str = "query") -> None:
        self.dim, self.ranks = dim, ranks_of(order, dim)
        sizes = torch.arange(dim + 1.0)
        tilts = {"cardinality": sizes + 1, "early": dim - sizes}
        self._tilt = tilts.get(choice("weighting", weighting, WEIGHTINGS), torch.ones(dim + 1))
        self._masks = CardinalityMasks(dim, 0, dim - 1)

    def sample(self, n: int, generator: torch.Generator) -> Steps:
        known = self._masks.sample(n, generator, self._tilt)
        return Steps(known, cut(~known, below((~known).sum(1), generator), self.ranks)[1])

    def law(self) -> Tensor:
        weights = self._masks.law() * self._tilt[subsets(self.dim).sum(1)]
        return weights / weights.sum()

    def trains(self, nodes: Tensor) -> Tensor:
        return ~nodes.all(1)

    def chains(self, query: Tensor, evidence: Tensor) -> list[Chain]:
        return _evidence_first(query, evidence)


class _PathProtocol(DecompositionProtocol):
    """One fixed path for each mask of a law M, whose nodes grow by one dimension a step.

    The training law is P(m, j) proportional to M(m) w(|m|, j), for step j of the path of m. Its factors, M tilted by
    the sum of w over j and P(j | |m|), are closed forms, so a batch is drawn without rejection.
    """

    def __init__(self, masks: MaskLaw, order: Order = "natural", weighting: str = "step") -> None:
        self.masks, self.dim, self.ranks = masks, masks.dim, ranks_of(order, masks.dim)
        self.weighting = choice("weighting", weighting, WEIGHTINGS)
        first, length = self._shape(torch.arange(self.dim + 1.0))
        weight = {
            "query": (length > 0).double(),
            "cardinality": (first + (length + 1) / 2) * (length > 0),
            "step": length,
            "early": length * (length + 1) / 2,
        }
        self._tilt = weight[weighting]
        if not (masks.cardinalities() * self._tilt).any():
            raise UserError(f"no mask has a step to train: {self._nothing}")

    _nothing: str

    @abc.abstractmethod
    def _shape(self, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Cardinality of the first node and number of steps, for masks of `sizes` (B,)."""

    @abc.abstractmethod
    def _walk(self, masks: Tensor, step: Tensor) -> Steps:
        """Step number `step` (B,) on the paths of `masks` (B, D)."""

    def sample(self, n: int, generator: torch.Generator) -> Steps:
        masks = self.masks.sample(n, generator, self._tilt)
        first, length = self._shape(masks.sum(1))
        if self.weighting == "cardinality":
            return self._walk(masks, rising(length, first, generator))
        if self.weighting == "early":
            return self._walk(masks, length - 1 - rising(length, torch.zeros_like(first), generator))
        return self._walk(masks, below(length, generator))

    def law(self) -> Tensor:
        masks, mass, table = subsets(self.dim), self.masks.law(), torch.zeros(2**self.dim, dtype=torch.float64)
        first, length = self._shape(masks.sum(1))
        for j in range(self.dim):
            weight = {
                "query": 1 / length,
                "cardinality": (first + j + 1) / length,
                "step": torch.ones(len(masks)),
                "early": length - j,
            }
            inside = j < length
            nodes = self._walk(masks[inside], torch.full((int(inside.sum()),), j)).known
            table.index_add_(0, codes(nodes), (mass * weight[self.weighting])[inside])
        return table / table.sum()


class MarginalProtocol(_PathProtocol):
    """The paper's w-MAC: the greatest member of a set is removed, so p(x_m) = prod of p(x_i | members before i).

    One path from the empty set to each m of M, hence no gap between orders. A conditional is p(x_q, x_e) / p(x_e), both
    along their own paths; steps that the two share cancel and are left out. No node holds the last dimension.
    """

    _nothing = "they are all empty; choose ones with at least one member"

    def _shape(self, sizes: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(sizes), sizes

    def _walk(self, masks: Tensor, step: Tensor) -> Steps:
        return Steps(*cut(masks, step, self.ranks))

    def trains(self, nodes: Tensor) -> Tensor:
        ranks = self.ranks.to(nodes.device)
        later = ranks > torch.where(nodes, ranks, -1).amax(1, keepdim=True)
        return self.masks.between(nodes, nodes | later, nodes.sum(1) + 1)

    def chains(self, query: Tensor, evidence: Tensor) -> list[Chain]:
        both, nothing = query | evidence, torch.zeros_like(query)
        ranks = self.ranks.to(query.device)
        begun = ranks >= torch.where(query, ranks, self.dim).amin(1, keepdim=True)
        joint = Chain(1, nothing, both, both & begun)
        return [joint, Chain(-1, nothing, evidence, evidence & begun)]


class CompletionProtocol(_PathProtocol):
    """Evidence first, then the missing dimensions in order: how samples are completed.

    M is the law of the evidence. Trained with `weighting` "step", each edge is trained as often as completing walks it;
    "query" and "cardinality" are the authors' `inpainting` masks without and with their reweighting; "early" favours
    the nodes where little is known yet, whose values all later ones are conditioned on.
    """

    _nothing = "they hold every dimension; choose ones that leave at least one dimension to the assistant"

    def _shape(self, sizes: Tensor) -> tuple[Tensor, Tensor]:
        return sizes, self.dim - sizes

    def _walk(self, masks: Tensor, step: Tensor) -> Steps:
        added, following = cut(~masks, step, self.ranks)
        return Steps(masks | added, following)

    def trains(self, nodes: Tensor) -> Tensor:
        ranks = self.ranks.to(nodes.device)
        after = nodes & (ranks > torch.where(nodes, self.dim, ranks).amin(1, keepdim=True))
        return self.masks.between(after, nodes, torch.zeros_like(ranks[:1]).expand(len(nodes))) & ~nodes.all(1)

    def chains(self, query: Tensor, evidence: Tensor) -> list[Chain]:
        return _evidence_first(query, evidence)


class MixtureProtocol(DecompositionProtocol):
    """Training steps of one of several protocols, by weight; queries are split by the first one."""

    def __init__(self, protocols: Sequence[DecompositionProtocol], weights: Sequence[float] | None = None) -> None:
        self._protocols, self._weights = list(protocols), shares(weights, len(protocols), "protocols")
        if len({protocol.dim for protocol in self._protocols}) != 1:
            raise UserError(f"protocols of different widths: {[protocol.dim for protocol in self._protocols]}")
        self.dim, self.ranks = self._protocols[0].dim, self._protocols[0].ranks

    def sample(self, n: int, generator: torch.Generator) -> Steps:
        chosen = categories(self._weights, n, generator)
        known = torch.empty(n, self.dim, dtype=torch.bool, device=generator.device)
        following = torch.empty_like(known)
        for index, protocol in enumerate(self._protocols):
            rows = chosen == index
            known[rows], following[rows] = protocol.sample(int(rows.sum()), generator)
        return Steps(known, following)

    def law(self) -> Tensor:
        return self._weights @ torch.stack([protocol.law() for protocol in self._protocols])

    def trains(self, nodes: Tensor) -> Tensor:
        return torch.stack([protocol.trains(nodes) for protocol in self._protocols]).any(0)

    def chains(self, query: Tensor, evidence: Tensor) -> list[Chain]:
        return self._protocols[0].chains(query, evidence)
