"""Assistance by partial diffusion: the operator's action is noised, then denoised into one like the demonstrations'."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import number
from autonomy.diffusion.denoiser import Denoiser
from autonomy.diffusion.model import Diffusion


class ForwardDiffusion(TorchAssistant):
    """a ~ p(a_0 | a_k, s) with a_k ~ q(a_k | a_operator), k = `gamma` K (Yoneda et al., RSS 2023, arXiv:2302.12244).

    `gamma` = 0 returns the operator's action, `gamma` = 1 is the diffusion policy, which knows nothing of it; between
    them, what the noise leaves of the operator's action steers the policy.

    There the operator commands a whole action. Here it commands the dimensions that it holds; in the others the action
    that is noised has 0, so they stand still, as they would without an assistant. All dimensions are denoised together,
    but what comes out for the held ones is not executed: those stay the operator's own, which `predict` returns. Where
    the operator holds nothing there is no action to correct, and the policy acts alone, whatever `gamma` is.

    The weights and their training are those of `DiffusionAssistant`, and so are the other parameters.
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
        gamma: float = 0.4,
        seed: int = 0,
    ) -> None:
        super().__init__(state_dim, action_dim)
        denoiser = Denoiser(action_dim, state_dim, levels, width, depth, dropout)
        self.diffusion = Diffusion(denoiser, levels, steps, eta)
        self.level = round(number("gamma", gamma, 0, 1) * levels)
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return self.diffusion.loss(actions, self.normaliser(states), generator)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        context, actions = self.normaliser(states), torch.where(mask, operator, 0.0)
        held = mask.any(1)
        for rows, level in ((held, self.level), (~held, self.diffusion.levels)):
            if rows.any():
                noisy = self.diffusion.noised(actions[rows], level, self._generator)
                actions[rows] = self.diffusion.denoise(noisy, level, context[rows], self._generator)
        return actions
