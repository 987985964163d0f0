"""Conformal p-values: how many demonstrated actions are as improbable as this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from autonomy.batches import Rows, halves

ROWS = 512
"""Demonstrated rows that an action is compared with, at most: a p-value is known to about a 500th."""
REMEMBERED = 1024
"""Sets of held dimensions whose comparison is kept."""

Plausibility = Callable[[Tensor, Tensor, Tensor, torch.Generator | None], Tensor]
"""(states (B, S), actions (B, D), held (B, D), generator) -> (B,), low for an action unlike the demonstrations'."""


class Conformal(nn.Module):
    """p = (1 + #{demonstrated rows that are at most as plausible}) / (M + 1), of M rows that training has not seen.

    It is split conformal prediction (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005;
    Angelopoulos and Bates, 2023, arXiv:2107.07511): whatever the plausibility measures, and however wrong the model is,
    a share a of the demonstrators' own actions has p <= a, for each set of held dimensions by itself.
    `states` (M, S) and `actions` (M, D) are buffers; M is 0 until they are fitted, and in runs of version 0.1.
    """

    states: Tensor
    actions: Tensor

    def __init__(self, state_dim: int, action_dim: int) -> None:
        super().__init__()
        self.register_buffer("states", torch.zeros(0, state_dim))
        self.register_buffer("actions", torch.zeros(0, action_dim))
        self._known: dict[bytes, Tensor] = {}

    @property
    def fitted(self) -> bool:
        """Whether there is anything to compare with."""
        return len(self.states) > 0

    def fit(self, held_out: Rows, generator: torch.Generator) -> None:
        """Take rows of every other held-out episode; the others can show whether it works.

        With a single episode nothing is taken.
        """
        first, second = halves(held_out)
        if not len(second.states):
            return
        index = torch.randperm(len(first.states), generator=generator)[:ROWS].to(first.states.device)
        self.states, self.actions = first.states[index], first.actions[index]
        self._known = {}

    @torch.no_grad()
    def p_value(
        self,
        plausibility: Plausibility,
        states: Tensor,
        actions: Tensor,
        mask: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return p (B,) in (0, 1], float64, of what the `mask` (B, D) holds of the actions; NaN where it holds nothing.

        Where `plausibility` draws, it draws from the `generator`.
        """
        result, rows = states.new_full((len(states),), torch.nan, dtype=torch.float64), mask.any(1)
        if not rows.any():
            return result
        own = plausibility(states[rows], actions[rows], mask[rows], generator)
        kinds, which = mask[rows].unique(dim=0, return_inverse=True)
        values = torch.empty(len(own), dtype=torch.float64, device=own.device)
        for number, kind in enumerate(kinds):
            others, here = self._demonstrated(plausibility, kind), which == number
            as_low = torch.searchsorted(others, own[here], right=True)
            values[here] = (1 + as_low).double() / (len(others) + 1)
        result[rows] = values
        return result

    def _demonstrated(self, plausibility: Plausibility, kind: Tensor) -> Tensor:
        """The plausibilities (M,) of the demonstrated rows, sorted, where `kind` (D,) is held; worked out once."""
        key = kind.cpu().numpy().tobytes()
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            held = kind.expand(len(self.states), -1)
            drawing = torch.Generator().manual_seed(0)
            self._known[key] = plausibility(self.states, self.actions, held, drawing).sort().values
        return self._known[key]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *options: Any) -> None:
        """There are as many rows as were saved; weights of version 0.1 have none."""
        for name, value in list(self.named_buffers()):
            saved = state_dict.setdefault(prefix + name, value[:0])
            setattr(self, name, torch.empty_like(saved, device=value.device))
        self._known = {}
        super()._load_from_state_dict(state_dict, prefix, *options)
