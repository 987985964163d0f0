"""Gaussians and Gaussian mixtures with full covariances: every marginal and conditional in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autonomy.density.autoregressive import AutoregressiveDensity
from autonomy.density.conditional import MixtureConditional
from autonomy.density.masks import CardinalityMasks
from autonomy.density.protocols import Chain, CompletionProtocol
from autonomy.types import UserError

CHUNK = 2**22
"""Entries of covariance matrices that are handled at a time."""


class GaussianMixture(AutoregressiveDensity):
    """sum_k w_k N(m_k, S_k) over the D dimensions of x and the C of the context, which is always evidence.

    log p(x_q | x_e, c) = log p(x_q, x_e, c) - log p(x_e, c), and a marginal leaves out rows and columns: exact for
    every path. One component is the full-covariance Gaussian. Parameters: `weights` (K,), `means` (K, D + C),
    `covariances` (K, D + C, D + C). Raises `UserError` for other shapes and for matrices that are no covariances.
    """

    picks = MixtureConditional.picks()
    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor, context_dim: int = 0) -> None:
        components, size = means.shape
        super().__init__(size - context_dim, context_dim)
        if weights.shape != (components,) or covariances.shape != (components, size, size):
            shapes = f"{tuple(weights.shape)}, {tuple(means.shape)} and {tuple(covariances.shape)}"
            raise UserError(f"weights, means and covariances must be (K,), (K, P) and (K, P, P), got {shapes}")
        if bool(torch.linalg.cholesky_ex(covariances).info.any()) or not bool((weights > 0).all()):
            raise UserError("weights must be positive and covariances symmetric and positive definite")
        self.protocol = CompletionProtocol(CardinalityMasks(self.dim))
        self.register_buffer("weights", weights / weights.sum())
        self.register_buffer("means", means)
        self.register_buffer("covariances", covariances)

    @classmethod
    def fit(cls, x: Tensor, context: Tensor, components: int, floor: float, seed: int = 0) -> GaussianMixture:
        """Maximum likelihood on rows `x` (N, D) and `context` (N, C), by scikit-learn's EM with its k-means start.

        floor^2 is added to every variance, so that every conditional's scale is at least `floor`.
        """
        from sklearn import mixture

        rows = torch.cat([x, context], 1).double()
        fitted = mixture.GaussianMixture(components, reg_covar=floor**2, random_state=seed, n_init=3, max_iter=300).fit(
            rows.cpu().numpy()
        )
        parts = (torch.as_tensor(part) for part in (fitted.weights_, fitted.means_, fitted.covariances_))
        weights, means, covariances = (part.to(x.dtype) for part in parts)
        return cls(weights, means, covariances, context.shape[1]).to(x.device)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """The negative log-likelihood of the joint, nats a dimension. There is nothing to train: see `fit`."""
        everything = torch.ones_like(x, dtype=torch.bool)
        return -self._log_prob(x, everything, ~everything, context).mean() / self.dim

    def joint_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` draws of x and context together, (n, D + C)."""
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], dtype=self.means.dtype, generator=generator)
        return self.means[chosen] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(self.covariances)[chosen], noise)

    def step(self, x: Tensor, path: Tensor, dims: Tensor, context: Tensor) -> MixtureConditional:
        known = path < path.gather(1, dims[:, None])
        parts = zip(*(tensor.split(self._rows()) for tensor in (x, known, dims, context)), strict=True)
        pieces = [self._step(*part) for part in parts]
        return MixtureConditional(*(torch.cat(piece) for piece in zip(*pieces, strict=True)))

    def _step(self, x: Tensor, known: Tensor, dims: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (as logits), means and scales (N, K) of x_d given what is known: the conditional Gaussians."""
        rows, read = torch.cat([x, context], 1), self._with_context(known)
        root, off = self._root(rows, read)
        index = dims[:, None, None].expand(-1, len(self.weights), rows.shape[1])
        cross = self.covariances.expand(len(x), -1, -1, -1).gather(2, index[:, :, None]).squeeze(2) * read[:, None]
        halves = torch.linalg.solve_triangular(root, torch.stack([off, cross], -1), upper=False)
        residual, gain = halves.unbind(-1)
        mean = self.means.T[dims] + (gain * residual).sum(-1)
        variance = self.covariances.diagonal(dim1=1, dim2=2).T[dims] - gain.square().sum(-1)
        logits = self.weights.log() - root.diagonal(dim1=2, dim2=3).log().sum(-1) - 0.5 * residual.square().sum(-1)
        return logits, mean, variance.clamp(min=torch.finfo(x.dtype).tiny).sqrt()

    def _chain(self, x: Tensor, chain: Chain, context: Tensor, ranks: Tensor | None = None) -> Tensor:
        """The path does not matter; the counted dimensions are the last ones of every path that is walked."""
        end = chain.start | chain.added
        return self._marginal(x, end, context) - self._marginal(x, end & ~chain.counted, context)

    def _marginal(self, x: Tensor, members: Tensor, context: Tensor) -> Tensor:
        """log p(x_members, context), (B,)."""
        rows, read = torch.cat([x, context], 1), self._with_context(members)
        parts = zip(rows.split(self._rows()), read.split(self._rows()), strict=True)
        return torch.cat([self._log_density(*part) for part in parts])

    def _log_density(self, rows: Tensor, read: Tensor) -> Tensor:
        root, off = self._root(rows, read)
        residual = torch.linalg.solve_triangular(root, off[..., None], upper=False).squeeze(-1)
        log_root = root.diagonal(dim1=2, dim2=3).log().sum(-1)
        constant = 0.5 * math.log(2 * math.pi) * read.sum(1, keepdim=True).to(rows.dtype)
        return torch.logsumexp(self.weights.log() - log_root - 0.5 * residual.square().sum(-1) - constant, 1)

    def _root(self, rows: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        """Cholesky factors (N, K, P, P) and offsets (N, K, P) of the dimensions in `read` (N, P).

        Rows and columns of the others become those of the identity and their offset 0, which changes neither the
        determinant nor the quadratic form. Rows that read the same dimensions share a factor.
        """
        patterns, index = torch.unique(read, dim=0, return_inverse=True)
        both = patterns[:, None, :, None] & patterns[:, None, None, :]
        identity = torch.eye(read.shape[1], dtype=rows.dtype, device=rows.device)
        root = torch.linalg.cholesky(torch.where(both, self.covariances, identity))
        return root[index], torch.where(read[:, None], rows[:, None] - self.means, 0.0)

    def _with_context(self, members: Tensor) -> Tensor:
        return torch.cat([members, members.new_ones(len(members), self.context_dim)], 1)

    def _rows(self) -> int:
        return max(1, CHUNK // self.covariances.numel())

    def _step_bytes(self) -> int:
        return 4 * self.covariances.numel() * self.covariances.element_size()
