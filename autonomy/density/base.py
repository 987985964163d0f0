"""What every density answers, and the checks on what it is asked."""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from autonomy.density.conditional import Conditional
from autonomy.density.protocols import DecompositionProtocol
from autonomy.types import UserError


class Density(nn.Module, abc.ABC):
    """p(x_query | x_evidence, context) for `dim` dimensions, in the units of x, in nats a vector.

    Everywhere `x` is (B, D), `evidence` and `query` are (B, D) bool, row by row as they please, and `context` is (B, C)
    or, when C is 0, None. Values of `x` that are neither asked for nor given are not read. The methods raise
    `UserError` for masks that overlap, an empty query, other types or widths, and values that are not finite.

    `protocol` says which nodes training visited and how queries are split; None where there are no nodes. `numeric`
    (D,) bool says which dimensions are continuous rather than categories; None: all are. `joint_only`: whether the
    query has to be everything and the evidence nothing. `picks` are the names that `complete` takes.
    """

    protocol: DecompositionProtocol | None = None
    joint_only: bool = False
    picks: tuple[str, ...] = Conditional.picks()

    def __init__(self, dim: int, context_dim: int = 0) -> None:
        super().__init__()
        self.dim, self.context_dim = dim, context_dim

    @property
    def numeric(self) -> Tensor | None:
        """See the class."""
        return None

    @abc.abstractmethod
    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar training loss, nats a dimension; its draws come from `generator`."""

    @abc.abstractmethod
    def _log_prob(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, ranks: Tensor | None = None
    ) -> Tensor:
        """`log_prob` of what has been checked; a row with an empty query has 0."""

    @abc.abstractmethod
    def _complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None
    ) -> Tensor:
        """`complete` of what has been checked."""

    def _log_prob_of_draw(
        self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """log p(x_query | x_evidence, c), (B,), of a fresh draw of x_query from that very law."""
        return self._log_prob(self._complete(x, evidence, context, "sample", generator), query, evidence, context)

    def log_prob(
        self,
        x: Tensor,
        query: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        ranks: Tensor | None = None,
    ) -> Tensor:
        """log p(x_query | x_evidence, context), (B,).

        With `ranks` (B, D), a permutation of 0..D-1 in each row, the path goes from the evidence through the query in
        the order of these places, whatever the protocol says; models whose orders all agree do not read it.
        """
        self._check_masks(x, query=query, evidence=evidence)
        check_query(query, evidence)
        if ranks is not None and not torch.equal(ranks.sort(1).values, torch.arange(self.dim).to(ranks).expand_as(x)):
            raise UserError(f"ranks must be a permutation of 0..{self.dim - 1} in each of the {len(x)} rows")
        return self._log_prob(x, query, evidence, self._checked(x, query | evidence, context), ranks)

    def complete(
        self,
        x: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        pick: str = "sample",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`x` with its missing dimensions filled in, (B, D): one after the other, each by `pick` of its conditional.

        `pick` is sample, mean, mode or another one of this density's `picks`.
        """
        self._check_masks(x, evidence=evidence)
        return self._complete(x, evidence, self._checked(x, evidence, context), pick, generator)

    def sample(
        self,
        x: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        n: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`n` completions a row drawn from p(x_missing | x_evidence, context), (n, B, D)."""
        context = None if context is None else context.repeat(n, 1)
        return self.complete(x.repeat(n, 1), evidence.repeat(n, 1), context, "sample", generator).view(n, *x.shape)

    def mean(self, x: Tensor, evidence: Tensor, context: Tensor | None = None) -> Tensor:
        """The sequential conditional mean, (B, D): each missing dimension is the mean given those before it."""
        return self.complete(x, evidence, context, "mean")

    def mode(self, x: Tensor, evidence: Tensor, context: Tensor | None = None) -> Tensor:
        """The sequential conditional mode, (B, D): each missing dimension is the mode given those before it."""
        return self.complete(x, evidence, context, "mode")

    def best_of_n(
        self,
        x: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        n: int = 16,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Of `n` sampled completions the one of the highest joint density given the evidence, (B, D)."""
        drawn = self.sample(x, evidence, context, n, generator)
        with torch.no_grad():
            scores = self._missing(drawn, evidence, context)
        return drawn[scores.argmax(0), torch.arange(len(x), device=x.device)]

    @torch.no_grad()
    def entropy(
        self,
        x: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        n: int = 256,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Monte Carlo estimate of the entropy of p(x_missing | x_evidence, context) by `n` samples, (B,) nats.

        Of the path that the samples were drawn along, from the evidence through the missing dimensions in order.
        """
        drawn = self.sample(x, evidence, context, n, generator)
        return -self._missing(drawn, evidence, context, self._drawn_along(drawn.flatten(0, 1))).mean(0)

    @torch.no_grad()
    def highest_density_rank(
        self,
        x: Tensor,
        query: Tensor,
        evidence: Tensor,
        context: Tensor | None = None,
        n: int = 99,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """How probable x_query is beside `n` draws x' of its own law p(x_query | x_evidence, context), (B,) float64.

        rank = (1 + #{x' : log p(x' | x_e, c) <= log p(x_q | x_e, c)}) / (n + 1): the Monte Carlo p-value (Davison,
        Hinkley, Bootstrap Methods and their Application, 1997, section 4.2) with the density as the statistic. It is
        uniform on {1, ..., n + 1} / (n + 1) when x_query is a draw of the model itself; rank <= a puts x_query outside
        the region of highest density with probability 1 - a (Box, Tiao, Bayesian Inference in Statistical Analysis,
        1973, section 2.8; Hyndman, The American Statistician 50(2), 1996), up to the noise of the draws. Choose n so
        that a (n + 1) is a whole number.

        Draws and densities are of one law, that of the path from the evidence through the query in order; without
        evidence it is also that of `log_prob`.
        """
        self._check_masks(x, query=query, evidence=evidence)
        check_query(query, evidence)
        context = self._checked(x, query | evidence, context)
        own = self._log_prob(x, query, evidence, context, self._drawn_along(x))
        x, query, evidence, context = (part.repeat(n, 1) for part in (x, query, evidence, context))
        draws = self._log_prob_of_draw(x, query, evidence, context, generator).view(n, len(own))
        return (1 + (draws <= own).sum(0)).double() / (n + 1)

    def cdf(self, x: Tensor, evidence: Tensor, context: Tensor | None = None) -> Tensor:
        """P(X_i <= x_i | x_evidence, context) for each missing dimension by itself, (B, D); 1 where it is given."""
        self._check_masks(x, evidence=evidence)
        context = self._checked(x, torch.ones_like(evidence), context)
        return torch.where(evidence, 1.0, self._cdf(x, evidence, context))

    def quantile(self, q: float | Tensor, x: Tensor, evidence: Tensor, context: Tensor | None = None) -> Tensor:
        """The value of each missing dimension by itself whose `cdf` is `q`, a number or (B, D) in (0, 1); (B, D).

        Given dimensions keep their value. Raises `UserError` for a `q` out of its range.
        """
        self._check_masks(x, evidence=evidence)
        context = self._checked(x, evidence, context)
        levels = torch.as_tensor(q, dtype=x.dtype, device=x.device).expand_as(x)
        if not bool(((levels > 0) & (levels < 1)).all()):
            raise UserError("quantiles need levels between 0 and 1, both excluded")
        return torch.where(evidence, x, self._quantile(levels, x, evidence, context))

    def _cdf(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """`cdf` of what has been checked."""
        raise UserError(f"a {type(self).__name__} knows the joint only, not its conditionals")

    def _quantile(self, levels: Tensor, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """`quantile` of what has been checked."""
        raise UserError(f"a {type(self).__name__} knows the joint only, not its conditionals")

    def check_values(self, x: Tensor, read: Tensor) -> None:
        """Raise `UserError` when a value of `x` (B, D) where `read` is True is none that its dimension can have."""

    def _drawn_along(self, x: Tensor) -> Tensor | None:
        """The places (B, D) by which drawing walks, for `log_prob`; None where there are no orders."""
        return None if self.protocol is None else self.protocol.ranks.to(x.device).expand(len(x), -1)

    def _missing(self, drawn: Tensor, evidence: Tensor, context: Tensor | None, ranks: Tensor | None = None) -> Tensor:
        """log p(missing | evidence) of completions (n, B, D), (n, B); 0 where nothing is missing."""
        n, rows, _ = drawn.shape
        given = evidence.repeat(n, 1)
        context = drawn.new_zeros(n * rows, 0) if context is None else context.repeat(n, 1)
        return self._log_prob(drawn.flatten(0, 1), ~given, given, context, ranks).view(n, rows)

    def _check_masks(self, x: Tensor, **masks: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.dim or not x.is_floating_point():
            raise UserError(f"x must be floating point (B, {self.dim}), got {tuple(x.shape)} of {x.dtype}")
        for name, mask in masks.items():
            if mask.dtype != torch.bool or mask.shape != x.shape:
                wanted = f"a bool mask of shape {tuple(x.shape)}"
                raise UserError(f"{name} must be {wanted}, got {tuple(mask.shape)} of {mask.dtype}")

    def _checked(self, x: Tensor, read: Tensor, context: Tensor | None) -> Tensor:
        """The context (B, C). Raises `UserError` for one of another shape and for impossible values."""
        context = x.new_zeros(len(x), 0) if context is None else context
        if context.shape != (len(x), self.context_dim):
            raise UserError(f"context must be {(len(x), self.context_dim)}, got {tuple(context.shape)}")
        for name, wrong in (("x", read & ~x.isfinite()), ("context", ~context.isfinite())):
            if wrong.any():
                row, column = wrong.nonzero()[0].tolist()
                raise UserError(f"{name} is not finite in row {row}, dimension {column}; give finite numbers")
        self.check_values(x, read)
        return context


def check_query(query: Tensor, evidence: Tensor) -> None:
    """Raise `UserError` when a row's masks overlap or ask for nothing."""
    if (query & evidence).any():
        row, dim = (query & evidence).nonzero()[0].tolist()
        raise UserError(
            f"query and evidence overlap in row {row}, dimension {dim}; a dimension is either asked for or given"
        )
    empty = ~query.any(1)
    if empty.any():
        raise UserError(f"the query of row {int(empty.nonzero()[0])} is empty; ask for one dimension or more")
