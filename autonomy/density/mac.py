"""MAC, the mask-tuned arbitrary conditional model (Shih, Sadigh, Ermon, NeurIPS 2022, arXiv:2205.13554)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import MixtureSameFamily

from autonomy.density.mixture import PICKS, MixtureHead
from autonomy.density.network import ResidualMLP
from autonomy.density.protocols import CompletionProtocol, first


class MAC(nn.Module):
    """One network for p(x_i | x_e, context), any i and any observed subset e.

    Training draws the observed subset from `protocol` and maximises, for a node e,
    `edge * log p(x_next | x_e, c) + (1 - edge) * mean over unobserved i of log p(x_i | x_e, c)`: the first term
    is the edge that inference walks, the second the authors' mean over all out-edges of the node.

    `evidence_noise` is the largest standard deviation (units of x) of Gaussian noise put on observed values
    in training; each row draws its own strength uniformly below it, and the network is not told.

    `regression` adds that weight times the squared error (E[x_i | x_e, c] - x_i)^2 to each edge's loss: the likelihood
    alone leaves the conditional mean to its most confident components.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        protocol: CompletionProtocol,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.02,
        edge: float = 0.5,
        evidence_noise: float = 0.0,
        regression: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= edge <= 1 or min(evidence_noise, regression) < 0:
            given = f"{edge}, {evidence_noise} and {regression}"
            raise ValueError(f"edge must be in [0, 1], evidence_noise and regression at least 0, got {given}")
        self.dim, self.protocol = dim, protocol
        self.edge, self.evidence_noise, self.regression = edge, evidence_noise, regression
        self.head = MixtureHead(dim, components, floor)
        self.trunk = ResidualMLP(2 * dim + context_dim, self.head.width, width, depth, dropout)

    def conditionals(self, x: Tensor, evidence: Tensor, context: Tensor) -> MixtureSameFamily:
        """p(x_i | x_e, c) for every i: mixtures of batch shape (B, D). Unobserved values of `x` (B, D) are not read."""
        known = torch.where(evidence, x, 0.0)
        mixture: MixtureSameFamily = self.head(self.trunk(torch.cat([known, evidence.float(), context], 1)))
        return mixture

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar training loss, nats per dimension; masks and noise come from the CPU `generator`."""
        evidence = self.protocol.sample(len(x), generator).to(x.device)
        seen = self._corrupt(x, generator) if self.evidence_noise else x
        mixture = self.conditionals(seen, evidence, context)
        edges = -mixture.log_prob(x) + self.regression * (mixture.mean - x).square()
        walked = torch.where(first(~evidence), edges, 0.0).sum(1)
        out_edges = torch.where(evidence, 0.0, edges).sum(1) / (~evidence).sum(1)
        return (self.edge * walked + (1 - self.edge) * out_edges).mean()

    def _corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        strength = self.evidence_noise * torch.rand(len(x), 1, generator=generator)
        return x + (strength * torch.randn(x.shape, generator=generator)).to(x.device)

    def log_prob(self, x: Tensor, query: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """log p(x_query | x_evidence, context), (B,) nats a row, along the ascending path; one batched forward.

        `query` and `evidence` are disjoint (B, D) bool. Raises ValueError when they overlap.
        """
        if (query & evidence).any():
            raise ValueError("query and evidence overlap; a dimension is either asked for or given")
        rows, dim = query.shape
        earlier = torch.ones(dim, dim, dtype=torch.bool, device=x.device).tril(-1)
        nodes = (evidence[:, None] | (query[:, None] & earlier)).flatten(0, 1)
        mixture = self.conditionals(x.repeat_interleave(dim, 0), nodes, context.repeat_interleave(dim, 0))
        step = mixture.log_prob(x.repeat_interleave(dim, 0)).view(rows, dim, dim).diagonal(dim1=1, dim2=2)
        return torch.where(query, step, 0.0).sum(1)

    @torch.no_grad()
    def complete(
        self, x: Tensor, evidence: Tensor, context: Tensor, pick: str, generator: torch.Generator | None = None
    ) -> Tensor:
        """Fill the unobserved dimensions of `x` (B, D), one pass a missing dimension, ascending, row by row.

        `pick` names how a value is taken from each conditional: one of `PICKS`.
        """
        x, known = torch.where(evidence, x, 0.0), evidence
        for _ in range(int((~evidence).sum(1).max())):
            value = PICKS[pick](self.conditionals(x, known, context), generator)
            step = first(~known)
            x, known = torch.where(step, value, x), known | step
        return x

    def sample(
        self, x: Tensor, evidence: Tensor, context: Tensor, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` completions a row, (n, B, D)."""
        repeated = (x.repeat(n, 1), evidence.repeat(n, 1), context.repeat(n, 1))
        return self.complete(*repeated, pick="sample", generator=generator).view(n, *x.shape)

    def mode(self, x: Tensor, evidence: Tensor, context: Tensor) -> Tensor:
        """The sequential completion by the heaviest component's mean, (B, D)."""
        return self.complete(x, evidence, context, "component")

    def best_of(
        self, x: Tensor, evidence: Tensor, context: Tensor, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Of `n` sampled completions the one of the highest density given the evidence, (B, D)."""
        drawn = self.sample(x, evidence, context, n, generator)
        given = evidence.repeat(n, 1)
        with torch.no_grad():
            scores = self.log_prob(drawn.flatten(0, 1), ~given, given, context.repeat(n, 1)).view(n, -1)
        return drawn[scores.argmax(0), torch.arange(len(x), device=x.device)]
