"""The trunk shared by the models: a pre-activation residual multilayer perceptron, and what it reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def known_inputs(x: Tensor, known: Tensor, context: Tensor) -> Tensor:
    """(B, 2D + C): the known values, the mask (a value of 0 is otherwise ambiguous), the context."""
    return torch.cat([torch.where(known, x, 0.0), known.to(x.dtype), context], 1)


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
        inner = torch.relu_(self.first(torch.relu_(self.norm(hidden))))
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

    def features(self, inputs: Tensor) -> Tensor:
        """What the last layer reads, (B, width)."""
        return torch.relu_(self.norm(self.blocks(self.entry(inputs))))

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.exit(self.features(inputs))
        return result

    def part(self, inputs: Tensor, which: Tensor, parts: int) -> Tensor:
        """Of outputs in `parts` equal parts only number `which` (B,) of each row, (B, outputs / parts)."""
        features = self.features(inputs)
        weights, biases = (tensor.unflatten(0, (parts, -1)) for tensor in (self.exit.weight, self.exit.bias))
        if len(which) == 1:
            return nn.functional.linear(features, weights[int(which)], biases[int(which)])
        order = which.argsort(stable=True)
        lots = features[order].split(torch.bincount(which, minlength=parts).tolist())
        outputs = [nn.functional.linear(lot, weights[i], biases[i]) for i, lot in enumerate(lots) if len(lot)]
        return torch.cat([*outputs, features.new_zeros(0, weights.shape[1])])[order.argsort()]
