"""MAC, the mask-tuned arbitrary conditional model (Shih, Sadigh, Ermon, NeurIPS 2022, arXiv:2205.13554)."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.density.autoregressive import AutoregressiveDensity
from autonomy.density.conditional import Conditional
from autonomy.density.networks.base import Network
from autonomy.density.protocols import DecompositionProtocol
from autonomy.types import UserError


class MAC(AutoregressiveDensity):
    """p(x_i | x_e, context), any i and any observed subset e, all answered by one `network`.

    Training draws a node e and the dimension that follows it from `protocol` and maximises
    `edge * log p(x_following | x_e, c) + (1 - edge) * mean over unobserved i of log p(x_i | x_e, c)`: the first term
    is the edge that inference walks, the second the authors' mean over all out-edges of the node. With an
    `AnyOrderProtocol` it is the any-order model (ARDM) that the paper compares with.

    `evidence_noise` is the largest standard deviation (units of x) of Gaussian noise put on observed values
    in training; each row draws its own strength uniformly below it, and the network is not told.

    `regression` adds that weight times the squared error (E[x_i | x_e, c] - x_i)^2 to each edge's loss: the likelihood
    alone leaves the conditional mean to its most confident components. Both concern continuous dimensions alone.
    """

    def __init__(
        self,
        network: Network,
        protocol: DecompositionProtocol,
        edge: float = 0.5,
        evidence_noise: float = 0.0,
        regression: float = 0.0,
    ) -> None:
        super().__init__(network.dim, network.context_dim)
        if not 0 <= edge <= 1 or min(evidence_noise, regression) < 0:
            given = f"{edge}, {evidence_noise} and {regression}"
            raise UserError(f"edge must be in [0, 1], evidence_noise and regression at least 0, got {given}")
        if protocol.dim != self.dim:
            raise UserError(f"the protocol is for {protocol.dim} dimensions, but the density has {self.dim}")
        self.network, self.protocol, self.picks = network, protocol, network.picks
        self.edge, self.evidence_noise, self.regression = edge, evidence_noise, regression

    @property
    def numeric(self) -> Tensor:
        return self.network.numeric

    def conditionals(self, x: Tensor, evidence: Tensor, context: Tensor) -> Conditional:
        return self.network.all(x, evidence, context)

    def step(self, x: Tensor, path: Tensor, dims: Tensor, context: Tensor) -> Conditional:
        return self.network.at(x, path < path.gather(1, dims[:, None]), dims, context)

    def check_values(self, x: Tensor, read: Tensor) -> None:
        self.network.check(x, read)

    def _step_bytes(self) -> int:
        return self.network.step_bytes()

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar training loss, nats per dimension; masks and noise come from the `generator`, on its device."""
        known, following = (mask.to(x.device) for mask in self.protocol.sample(len(x), generator))
        seen = self._corrupt(x, generator) if self.evidence_noise else x
        conditionals = self.network.all(seen, known, context)
        edges = -conditionals.log_prob(x)
        if self.regression:
            errors = torch.where(self.network.numeric, conditionals.mean - x, 0.0)
            edges = edges + self.regression * errors.square()
        walked = torch.where(following, edges, 0.0).sum(1)
        out_edges = torch.where(known, 0.0, edges).sum(1) / (~known).sum(1)
        return (self.edge * walked + (1 - self.edge) * out_edges).mean()

    def _corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        strength = self.evidence_noise * torch.rand(len(x), 1, generator=generator, device=generator.device)
        noise = torch.randn(x.shape, generator=generator, device=generator.device)
        return x + torch.where(self.network.numeric, (strength * noise).to(x.device), 0.0)
