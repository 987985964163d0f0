"""What the training loop asks of a module.

It has `training_loss(batch, generator)` -> scalar or, when it reads states and actions alone, `loss(states, actions,
generator)` -> scalar. It may say `members`: it splits a batch into so many equal parts, one after the other, each for a
model of its own. And it may say `window`: how many consecutive rows it wants in a piece, see `autonomy.batches`.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from autonomy.batches import Batches, Rows

VALIDATION_ROWS = 4096
"""Rows a forward pass: it bounds the memory of validation."""


class TrainsOnRows(Protocol):
    """A module that reads all columns of a batch."""

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor: ...


class HasLoss(Protocol):
    """A module that reads states and actions alone."""

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor: ...


def loss_of(model: nn.Module, batch: Rows, generator: torch.Generator) -> Tensor:
    """The scalar training loss of a batch."""
    if hasattr(model, "training_loss"):
        return cast(TrainsOnRows, model).training_loss(batch, generator)
    return cast(HasLoss, model).loss(batch.states, batch.actions, generator)


def members_of(model: nn.Module) -> int:
    """How many models are trained side by side, each with its own part of a batch."""
    return cast(int, getattr(model, "members", 1))


@torch.no_grad()
def mean_loss(model: nn.Module, rows: Rows) -> float:
    """The mean loss of held-out rows, with the same random draws at every call; every member sees all of them."""
    generator, total, members = torch.Generator().manual_seed(0), 0.0, members_of(model)
    index = Batches.of(model, rows).all().to(rows.states.device)
    model.eval()
    for lot in index.split(max(1, VALIDATION_ROWS * len(index) // (index.numel() * members))):
        batch = rows.at(torch.cat([lot] * members))
        total += loss_of(model, batch, generator).item() * len(lot)
    model.train()
    return total / len(index)
