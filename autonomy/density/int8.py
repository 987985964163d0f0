"""Residual networks with whole numbers of eight bits: a quarter of the memory to read, for decisions one at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonomy.density.network import ResidualBlock
from autonomy.types import UserError

_LEVELS = 127


class Int8Linear(nn.Module):
    """x W' + b with W and x rounded to 255 levels, each row of both by its own largest value.

    W[o] = step[o] round(W[o] / step[o]) once, x likewise at each call (dynamic quantisation: Jacob et al., CVPR 2018,
    arXiv:1712.05877, symmetric); the products are summed exactly. (B, I) -> (B, O) in float32, without a gradient.
    """

    weight: Tensor
    steps: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        values, steps = _rounded(linear.weight.detach())
        self.register_buffer("weight", values)
        self.register_buffer("steps", steps.T)
        self.register_buffer("bias", linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        values, steps = _rounded(x)
        return torch._int_mm(values, self.weight.T) * (steps * self.steps) + self.bias


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """int8 rows and what a level of each is worth, (N, 1)."""
    steps = rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny) / _LEVELS
    return (rows / steps).round_().to(torch.int8), steps


def quantise(module: nn.Module) -> None:
    """Replace the wide layers, those of the residual blocks, in place; the first and the last layer stay.

    Raises `UserError` for a network of several members, whose products have no whole-number form here.
    """
    for block in module.modules():
        if isinstance(block, ResidualBlock):
            if getattr(block.first, "members", 1) > 1:
                raise UserError("int8 is for a network of one member; the valid precision of several is float32")
            for name, layer in block.named_children():
                if isinstance(layer, nn.Linear):
                    setattr(block, name, Int8Linear(layer))
