"""What every learned assistant shares: the normaliser and Stable-Baselines3's `predict`."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonomy.data.normaliser import Normaliser
from autonomy.density.coverage import Coverage
from autonomy.density.masks import MaskLaw
from autonomy.types import Array, UserError

if TYPE_CHECKING:
    from autonomy.batches import Rows


class TorchAssistant(nn.Module, abc.ABC):
    """A network that fills in actions (B, D) from states (B, S) and what the operator does."""

    def __init__(self, state_dim: int, action_dim: int) -> None:
        super().__init__()
        self.state_dim, self.action_dim = state_dim, action_dim
        self.normaliser = Normaliser(torch.zeros(state_dim), torch.ones(state_dim))

    @abc.abstractmethod
    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar training loss of rows `states` (B, S), in the data's units, and `actions` (B, D)."""

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor:
        """The scalar training loss of a batch; an assistant that reads intents, or windows of rows, has its own."""
        return self.loss(batch.states, batch.actions, generator)

    @abc.abstractmethod
    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """Actions (B, D) given the operator's values (B, D) where `mask` (B, D) is True."""

    def coverage(self, masks: MaskLaw | None = None) -> Coverage | None:
        """Of completing what operators hold: the steps that training never visits; None for a network without nodes."""
        return None

    def fit_normaliser(self, states: Tensor, actions: Tensor) -> None:
        """Standardise by the mean and deviation of the training states (N, S); `actions` (N, D) are those beside them.

        Once, before the training loop: what an assistant takes from the rows without a gradient is taken here.
        """
        self.normaliser = Normaliser.fit(states)

    def fit_rows(self, rows: Rows) -> None:
        """`fit_normaliser` of training rows; an assistant that reads intents takes them too."""
        self.fit_normaliser(rows.states, rows.actions)

    def calibrate(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        """Once, after the training loop: fit what is taken from `held_out` rows, that training has not seen."""

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        """See `autonomy.types.Assistant`. Raises `UserError` for a state, action or mask of the wrong width."""
        states, operator, mask = self.read(observation)
        filled = self.complete(states, operator, mask).clamp(-1, 1)
        return torch.where(mask, operator, filled).cpu().numpy(), state

    def read(self, observation: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, S), the operator's action (B, D), clipped, and its mask (B, D) bool, on the weights' device.

        Raises `UserError` for a state, action or mask of the wrong width.
        """
        device = self.normaliser.mean.device
        states, operator, mask = (
            torch.as_tensor(np.asarray(observation[key]), device=device)
            for key in ("state", "operator_action", "operator_mask")
        )
        self._check(states, operator, mask)
        return states.float(), operator.float().clamp(-1, 1), mask.bool()

    def _check(self, states: Tensor, operator: Tensor, mask: Tensor) -> None:
        widths = (states.shape[-1], operator.shape[-1], mask.shape[-1])
        if widths != (self.state_dim, self.action_dim, self.action_dim):
            raise UserError(
                f"the assistant takes states of width {self.state_dim} and operator actions and masks of width "
                f"{self.action_dim}, got {widths[0]}, {widths[1]} and {widths[2]}"
            )
