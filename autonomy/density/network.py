"""The trunk shared by every model: a pre-activation residual multilayer perceptron."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """h + W2 relu(W1 relu(norm(h))), pre-activation (He et al., 2016, arXiv:1603.05027); W2 starts at zero."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = torch.relu(self.first(torch.relu(self.norm(hidden))))
        result: Tensor = hidden + self.second(self.dropout(inner))
        return result


class ResidualMLP(nn.Module):
    """(B, inputs) -> (B, outputs) with `depth` hidden layers of `width` units; `depth` is even, two layers a block."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        if depth < 2 or depth % 2:
            raise ValueError(f"depth must be even and at least 2 (two layers a residual block), got {depth}")
        self.entry = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout) for _ in range(depth // 2)))
        self.norm = nn.LayerNorm(width)
        self.exit = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.exit(torch.relu(self.norm(self.blocks(self.entry(inputs)))))
        return result
