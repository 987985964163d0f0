"""The diffusion policy, which completes the operator's action by in-painting."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.diffusion.denoiser import Denoiser
from autonomy.diffusion.model import Diffusion


class DiffusionAssistant(TorchAssistant):
    """p(a | s) of single actions by denoising diffusion (Chi et al., RSS 2023), the operator's dimensions in-painted.

    With an empty mask it is the plain diffusion policy. Draws come from a generator of its own, made of `seed`.
    `levels`, `steps`, `eta` and `resample` are those of `autonomy.diffusion.model.Diffusion`.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        width: int = 512,
        depth: int = 4,
        dropout: float = 0.0,
        levels: int = 100,
        steps: int = 10,
        eta: float = 1.0,
        resample: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__(state_dim, action_dim)
        denoiser = Denoiser(action_dim, state_dim, levels, width, depth, dropout)
        self.diffusion = Diffusion(denoiser, levels, steps, eta, resample)
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return self.diffusion.loss(actions, self.normaliser(states), generator)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        return self.diffusion.complete(operator, mask, self.normaliser(states), self._generator)
