"""The network of a diffusion model: which noise is in here?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonomy.density.network import ResidualMLP

EMBEDDING = 64  # sines and cosines that say the noise level


class Denoiser(nn.Module):
    """eps(x_k, k, context): the standard Gaussian noise (B, D) in x (B, D) at the noise levels k (B,), 1 to `levels`.

    The level enters as a sinusoidal embedding (Vaswani et al., 2017, section 3.5; Ho et al., 2020, appendix B).
    """

    embedding: Tensor

    def __init__(
        self, dim: int, context_dim: int, levels: int, width: int = 512, depth: int = 4, dropout: float = 0.0
    ) -> None:
        from diffusers.models.embeddings import get_timestep_embedding  # seconds to import

        super().__init__()
        table = get_timestep_embedding(torch.arange(levels + 1), EMBEDDING)
        self.register_buffer("embedding", table, persistent=False)
        self.trunk = ResidualMLP(dim + EMBEDDING + context_dim, dim, width, depth, dropout)

    def forward(self, x: Tensor, level: Tensor, context: Tensor) -> Tensor:
        noise: Tensor = self.trunk(torch.cat([x, self.embedding[level], context], 1))
        return noise
