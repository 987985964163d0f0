"""Conditional behaviour cloning: regression that also sees what the operator does."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.density.masks import MaskLaw
from autonomy.density.network import ResidualMLP


class ConditionalBC(TorchAssistant):
    """What MAC's information alone is worth: a = f(s, m * a, m).

    Trained on the mean squared error of the dimensions that `masks` leaves missing.
    """

    def __init__(
        self, state_dim: int, action_dim: int, masks: MaskLaw, width: int = 512, depth: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__(state_dim, action_dim)
        self.masks = masks
        self.trunk = ResidualMLP(state_dim + 2 * action_dim, action_dim, width, depth, dropout)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        mask = self.masks.sample(len(states), generator).to(states.device)
        error = (self.complete(states, actions, mask) - actions).square()
        return torch.where(mask, 0.0, error).sum() / (~mask).sum().clamp(min=1)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        inputs = [self.normaliser(states), torch.where(mask, operator, 0.0), mask.float()]
        actions: Tensor = self.trunk(torch.cat(inputs, 1))
        return actions
