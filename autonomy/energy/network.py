"""The networks of implicit behaviour cloning and of its explicit baseline (Florence et al., 2021, arXiv:2109.00137)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from autonomy.checks import number, whole
from autonomy.types import UserError


def _linear(inputs: int, outputs: int, spectral: bool) -> nn.Module:
    layer = nn.Linear(inputs, outputs)
    return spectral_norm(layer) if spectral else layer


class PreActivationBlock(nn.Module):
    """h + W2 relu(W1 relu(h)) with dropout after each relu, pre-activation (He et al., 2016, arXiv:1603.05027).

    Without a normalisation layer, which would undo the bound that spectral norm puts on the gain.
    """

    def __init__(self, width: int, dropout: float, spectral: bool) -> None:
        super().__init__()
        self.first, self.second = (_linear(width, width, spectral) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = self.first(self.dropout(torch.relu(hidden)))
        result: Tensor = hidden + self.second(self.dropout(torch.relu(inner)))
        return result


class PreActivationMLP(nn.Module):
    """(..., inputs) -> (..., outputs) with `depth` hidden layers of `width` units, two a residual block.

    `spectral` divides every weight by an estimate of its largest singular value (Miyato et al., 2018,
    arXiv:1802.05957), so that no layer's gain exceeds 1.
    Raises `UserError` for an odd depth or numbers out of range.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, depth: int, dropout: float = 0.0, spectral: bool = False
    ) -> None:
        super().__init__()
        if whole("depth", depth, 2) % 2:
            raise UserError(f"depth must be even, since two layers make a residual block, got {depth}")
        number("dropout", dropout, 0, 0.99)
        self.entry = _linear(inputs, whole("width", width, 1), spectral)
        self.blocks = nn.Sequential(*(PreActivationBlock(width, dropout, spectral) for _ in range(depth // 2)))
        self.exit = _linear(width, outputs, spectral)

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.exit(self.blocks(self.entry(inputs)))
        return result


class EnergyNetwork(nn.Module):
    """E(context, action): contexts (B, C) and N actions each, (B, N, D) -> (B, N); low where the action is likely."""

    def __init__(self, context_dim: int, action_dim: int, width: int, depth: int, spectral: bool) -> None:
        super().__init__()
        self.trunk = PreActivationMLP(context_dim + action_dim, 1, width, depth, spectral=spectral)

    def forward(self, context: Tensor, actions: Tensor) -> Tensor:
        inputs = torch.cat([context[:, None].expand(-1, actions.shape[1], -1), actions], 2)
        energies: Tensor = self.trunk(inputs).squeeze(2)
        return energies
