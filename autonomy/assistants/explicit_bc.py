"""The explicit baseline of implicit behaviour cloning (Florence et al., CoRL 2021, arXiv:2109.00137, B.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.energy.network import PreActivationMLP


class ExplicitBC(TorchAssistant):
    """a = f(s) by IBC's residual network with dropout, trained on the mean squared error.

    The operator's dimensions are overwritten, never read. Raises `UserError` for numbers out of range.
    """

    def __init__(self, state_dim: int, action_dim: int, width: int = 512, depth: int = 8, dropout: float = 0.1) -> None:
        super().__init__(state_dim, action_dim)
        self.trunk = PreActivationMLP(state_dim, action_dim, width, depth, dropout)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return torch.nn.functional.mse_loss(self.trunk(self.normaliser(states)), actions)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        actions: Tensor = self.trunk(self.normaliser(states))
        return actions
