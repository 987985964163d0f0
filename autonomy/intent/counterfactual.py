"""Counterfactual rows: what was done for one intent, had what other intents are about been elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autonomy.checks import number
from autonomy.types import UserError


class Counterfactual(nn.Module):
    """Training states in which the parts that other intents concern are taken from other rows.

    Somebody who opens a microwave moves the same way wherever the kettle stands, but a few demonstrations show few
    combinations of the two, and a network learns to expect those. In a row for intent z, for each other intent, the
    dimensions of the state that it concerns are replaced, with the probability `share`, by those of another row of the
    batch that is not for that intent either. Rows of an unknown intent stay as they are: there, the state tells what is
    to be done. The idea is that of Pitis, Creager and Garg, Counterfactual Data Augmentation using Locally Factored
    Dynamics, NeurIPS 2020 (arXiv:2007.02863), with the intents' labels for the factors.

    `concerns` has, for each intent, the dimensions of the state (of `state_dim`) that it concerns, or none where that
    is not known. Raises `UserError` for a share outside [0, 1] and for a dimension that the state has not.
    """

    def __init__(self, concerns: Sequence[Sequence[int]], state_dim: int, share: float = 0.5) -> None:
        super().__init__()
        self.share = number("intent.swap", share, 0, 1)
        wrong = [dim for dims in concerns for dim in dims if not 0 <= dim < state_dim]
        if wrong:
            raise UserError(f"an intent concerns dimension {wrong[0]}, but the state's are 0 to {state_dim - 1}")
        self.moved = [intent for intent, dims in enumerate(concerns) if dims and self.share]
        parts = torch.zeros(len(concerns), state_dim, dtype=torch.bool)
        for part, dims in zip(parts, concerns, strict=True):
            part[list(dims)] = True
        self.register_buffer("parts", parts, persistent=False)
        self.parts: Tensor

    def forward(self, states: Tensor, intents: Tensor, told: Tensor, generator: torch.Generator) -> Tensor:
        """Return the states (B, S) of rows for `intents` (B,), -1 or K for an unknown one, some of them swapped.

        Only rows that are `told` their intent, (B,) bool, change. Draws come from the `generator`, on the CPU.
        """
        result, rows = states, len(states)
        known = told & (intents >= 0) & (intents < len(self.parts))
        for intent in self.moved:
            donors = torch.randperm(rows, generator=generator).to(states.device)
            chosen = (torch.rand(rows, generator=generator) < self.share).to(states.device)
            swapped = known & chosen & (intents != intent) & (intents[donors] != intent)
            result = torch.where(swapped[:, None] & self.parts[intent], states[donors], result)
        return result
