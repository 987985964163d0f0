"""Nearest neighbours: what demonstrators did in states like this one, with actions like the operator's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import number, whole
from autonomy.types import UserError

MEMORY = 64 * 2**20
"""Bytes of distances that are held at once."""


class KNNAssistant(TorchAssistant):
    """The plain mean of the `k` nearest demonstrated actions (Cover, Hart, IEEE Trans. Inf. Theory 13(1), 1967).

    Distance^2 = |z - z_n|^2 + `weight` * sum over held d of (a_d - a_nd)^2, with normalised states z, so the neighbours
    are of the operator's action as well as of the state. Nothing is trained: the rows are buffers, so a state dict
    holds them, however many they are.
    """

    rows: Tensor
    actions: Tensor

    def __init__(self, state_dim: int, action_dim: int, k: int = 10, weight: float = 30.0) -> None:
        super().__init__(state_dim, action_dim)
        self.k, self.weight = whole("k", k, 1), number("weight", weight, 0)
        self.register_buffer("rows", torch.zeros(0, state_dim))
        self.register_buffer("actions", torch.zeros(0, action_dim))

    def fit_normaliser(self, states: Tensor, actions: Tensor) -> None:
        """Also keep the rows. Raises `UserError` when there are fewer than `k`."""
        if len(states) < self.k:
            raise UserError(f"k={self.k} neighbours need as many training rows, but there are {len(states)}")
        super().fit_normaliser(states, actions)
        self.rows, self.actions = self.normaliser(states), actions

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Without a gradient: the mean squared error of acting alone, which is what BC minimises."""
        alone = self.complete(states, actions, torch.zeros_like(actions, dtype=torch.bool))
        return torch.nn.functional.mse_loss(alone, actions)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        size = max(1, MEMORY // (4 * len(self.rows)))
        lots = zip(*(part.split(size) for part in (self.normaliser(states), operator, mask)), strict=True)
        nearest = [self._distances(*lot).topk(self.k, largest=False).indices for lot in lots]
        return self.actions[torch.cat(nearest)].mean(1)

    def _distances(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """Squared, (B, N). By plain differences: matrix products would lose the digits that tell near rows apart."""
        total = torch.cdist(states, self.rows, compute_mode="donot_use_mm_for_euclid_dist").square()
        known = torch.where(mask, operator, 0.0)
        for held, value, actions in zip(mask.T, known.T, self.actions.T, strict=True):
            total += self.weight * held[:, None] * (value[:, None] - actions).square()
        return total

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *options: Any) -> None:
        """As many rows as were saved."""
        for name in ("rows", "actions"):
            buffer, saved = getattr(self, name), state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, buffer.new_empty(saved.shape[:1] + buffer.shape[1:]))
        super()._load_from_state_dict(state_dict, prefix, *options)
