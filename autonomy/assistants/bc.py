"""Behaviour cloning: explicit regression from state to action (Pomerleau, 1991)."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.density.network import ResidualMLP


class BC(TorchAssistant):
    """a = f(s), trained on the mean squared error; the operator's dimensions are overwritten, never read."""

    def __init__(self, state_dim: int, action_dim: int, width: int = 512, depth: int = 4, dropout: float = 0.0) -> None:
        super().__init__(state_dim, action_dim)
        self.trunk = ResidualMLP(state_dim, action_dim, width, depth, dropout)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return torch.nn.functional.mse_loss(self.trunk(self.normaliser(states)), actions)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        actions: Tensor = self.trunk(self.normaliser(states))
        return actions
