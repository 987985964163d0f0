"""How an energy is trained: InfoNCE and the gradient penalty (Florence et al., 2021, arXiv:2109.00137, B.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Energy = Callable[[Tensor], Tensor]
"""Actions (B, N, D) -> (B, N), each row with a context of its own."""


def info_nce(energies: Tensor) -> Tensor:
    """-log of softmax(-E) at the positive, which is column 0 of `energies` (B, 1 + n); the mean over rows, in nats.

    (van den Oord et al., 2018, arXiv:1807.03748). With n equally likely negatives it is log(1 + n).
    """
    return -torch.log_softmax(-energies, 1)[:, 0].mean()


def slope(energy: Energy, actions: Tensor, differentiable: bool = False) -> Tensor:
    """dE/da at `actions` (B, N, D), (B, N, D); when `differentiable`, a loss may be made of it."""
    with torch.enable_grad():
        actions = actions.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(actions).sum(), actions, create_graph=differentiable)
    return gradient


def gradient_penalty(energy: Energy, actions: Tensor, margin: float = 1.0) -> Tensor:
    """The mean over `actions` (B, N, D) of max(0, max_d |dE/da_d| - margin)^2, a scalar.

    It keeps the slopes that Langevin steps follow below `margin`: a step may not leap over what it looks for.
    """
    steepest = slope(energy, actions, differentiable=torch.is_grad_enabled()).abs().amax(2)
    return (steepest - margin).clamp(min=0).square().mean()
