"""Recurrent behaviour cloning: a regression that sees what the operator does, and remembers what it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import whole
from autonomy.density.masks import MaskLaw
from autonomy.density.network import ResidualMLP
from autonomy.types import Array, UserError


class RecurrentBC(TorchAssistant):
    """What memory is worth without labels: a_t = f(s_t, m * a_t, m, h_t), where h_t is a GRU's memory of all so far.

    It is trained on windows of `window` consecutive rows, each with one mask of `masks` and no memory before it, on the
    mean squared error of the dimensions that the mask leaves missing. The GRU (Cho et al., EMNLP 2014) has `width`
    units; the memory (B, width) is the `state` of `predict`.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        masks: MaskLaw,
        window: int = 32,
        width: int = 512,
        depth: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(state_dim, action_dim)
        self.masks, self.window = masks, whole("window", window, 2)
        inputs = state_dim + 2 * action_dim
        self.memory = nn.GRU(inputs, width, batch_first=True)
        self.trunk = ResidualMLP(inputs + width, action_dim, width, depth, dropout)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar training loss of windows: `states` (B, W, S) and `actions` (B, W, D)."""
        mask = self.masks.sample(len(states), generator).to(states.device)[:, None].expand_as(actions)
        answers, _ = self._answer(states, actions, mask, self._nothing(len(states)))
        error = (answers - actions).square()
        return torch.where(mask, 0.0, error).sum() / (~mask).sum().clamp(min=1)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """Actions (B, D) at the first step of an episode, when nothing is remembered."""
        actions, _ = self._answer(states[:, None], operator[:, None], mask[:, None], self._nothing(len(states)))
        return actions.squeeze(1)

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        """See `autonomy.types.Assistant`; `state` is the memory (B, width), None before anything is seen.

        Raises `UserError` for a state, action, mask or memory of the wrong width.
        """
        states, operator, mask = self.read(observation)
        before = self._remembered(state, episode_start, len(states))
        filled, memory = self._answer(states[:, None], operator[:, None], mask[:, None], before)
        actions = torch.where(mask, operator, filled.squeeze(1).clamp(-1, 1))
        return actions.cpu().numpy(), memory.cpu().numpy()

    def _answer(self, states: Tensor, actions: Tensor, mask: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, W, D) and the memory (B, width) after W steps, from the memory `before` (B, width) them."""
        seen = torch.cat([self.normaliser(states), torch.where(mask, actions, 0.0), mask.float()], 2)
        remembered, last = self.memory(seen, before[None])
        return self.trunk(torch.cat([seen, remembered], 2)), last[0]

    def _nothing(self, rows: int) -> Tensor:
        return self.normaliser.mean.new_zeros(rows, self.memory.hidden_size)

    def _remembered(self, state: Any, starts: NDArray[np.bool_] | None, rows: int) -> Tensor:
        """The memory of each episode, nothing where one starts."""
        nothing = self._nothing(rows)
        if state is None:
            return nothing
        if np.shape(state) != nothing.shape:
            raise UserError(
                f"the state of predict must be None or the memory that it returned, of shape {tuple(nothing.shape)}, "
                f"got {np.shape(state)}"
            )
        memory = torch.as_tensor(np.asarray(state), dtype=torch.float32, device=nothing.device)
        return (
            memory
            if starts is None
            else memory.masked_fill(torch.as_tensor(starts, device=memory.device)[:, None], 0.0)
        )
