"""Standardising states, and scaling actions, with constants that travel inside the model."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

STD_FLOOR = 0.01
"""In the state's own units. A dimension that hardly moves in the demonstrations (a cabinet that nobody opened) has the
deviation of its sensor noise, some 5e-4; divided by that, the noise would be as loud as a real movement, and a first
movement hundreds of deviations away. 0.01 rad or m is D4RL's sensor noise and far below any task's movement."""


class Normaliser(nn.Module):
    """z = (s - mean) / std, dimension by dimension; `mean` and `std` (S,) are buffers, so a state dict holds them."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        if mean.ndim != 1 or mean.shape != std.shape or not bool((std > 0).all()):
            raise ValueError(f"mean and std must be (S,) with std > 0, got {tuple(mean.shape)} and {tuple(std.shape)}")
        self.register_buffer("mean", mean.to(torch.float32))
        self.register_buffer("std", std.to(torch.float32))

    @classmethod
    def fit(cls, states: Tensor | NDArray[Any], floor: float = STD_FLOOR) -> Normaliser:
        """Mean and population deviation of states (N, S), the deviation at least `floor`."""
        rows = torch.as_tensor(states, dtype=torch.float64)
        if rows.ndim != 2 or len(rows) == 0 or not bool(rows.isfinite().all()):
            raise ValueError(f"states must be (N, S), finite and N >= 1, got {tuple(rows.shape)}")
        return cls(rows.mean(0), rows.std(0, correction=0).clamp_min(floor))

    @classmethod
    def of_range(cls, rows: Tensor, buffer: float) -> Normaliser:
        """Maps the range of each column of `rows` (N, D), widened by `buffer` of it on both sides, to [-1, 1].

        A column that never moves keeps its scale and is centred.
        """
        low, high = rows.amin(0), rows.amax(0)
        half = (0.5 + buffer) * (high - low)
        return cls((low + high) / 2, torch.where(half > 0, half, 1.0))

    def forward(self, states: Tensor) -> Tensor:
        """States (B, S) in their own units -> (B, S) standardised."""
        return (states - self.mean) / self.std

    def inverse(self, standardised: Tensor) -> Tensor:
        """What `forward` maps to `standardised` (B, S), in its own units."""
        return standardised * self.std + self.mean
