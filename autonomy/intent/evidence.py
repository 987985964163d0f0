"""How probable what the operator does is given the state and an intent: exactly, or as a regression can say it."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor, nn

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.density import DensityAssistant
from autonomy.batches import Rows

NARROWEST = 0.02
"""The smallest deviation of a residual, in units of the action."""
LOT = 1024
"""Rows a pass."""


class Evidence(nn.Module, abc.ABC):
    """log p(a_held | inputs), in nats, of what a policy reads: states beside the one-hot of an intent."""

    @abc.abstractmethod
    def forward(self, inputs: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """(B,) for inputs (B, S + K), actions (B, D) and what is held of them (B, D); 0 where nothing is held."""

    @abc.abstractmethod
    def rank(self, inputs: Tensor, operator: Tensor, mask: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """How probable the actions are beside draws of their own law, (B,) in (0, 1]; NaN where nothing is held."""

    @abc.abstractmethod
    def plausibility(self, inputs: Tensor, operator: Tensor, mask: Tensor, generator: torch.Generator | None) -> Tensor:
        """How likely the held dimensions are beside what was to be expected, (B,); at least one is held in each row."""

    @abc.abstractmethod
    def fit(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        """Fit what the policy does not know itself to `held_out` rows, that it has not been trained on."""


class DensityEvidence(Evidence):
    """What an arbitrary conditional knows exactly: the marginal of the held dimensions, whichever they are."""

    def __init__(self, policy: DensityAssistant) -> None:
        super().__init__()
        self._policy = [policy]  # in a list, since the policy's weights are the assistant's, not the evidence's

    def forward(self, inputs: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        return self._policy[0].intent_score(inputs, operator, mask)

    def rank(self, inputs: Tensor, operator: Tensor, mask: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        return self._policy[0].intent_rank(inputs, operator, mask, n, generator)

    def fit(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        self._policy[0].fit_stray(training, held_out, generator)

    def plausibility(self, inputs: Tensor, operator: Tensor, mask: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._policy[0].plausibility(inputs, operator, mask, generator)


class ResidualEvidence(Evidence):
    """What a regression can say: a Gaussian round the action that the policy would do alone, dimension by dimension.

    `deviation` (D,) is that of the residuals on held-out rows.
    """

    deviation: Tensor

    def __init__(self, policy: TorchAssistant) -> None:
        super().__init__()
        self._policy = [policy]
        self.register_buffer("deviation", torch.ones(policy.action_dim))

    def _alone(self, inputs: Tensor) -> Tensor:
        nothing = torch.zeros(len(inputs), len(self.deviation), dtype=torch.bool, device=inputs.device)
        return self._policy[0].complete(inputs, nothing.float(), nothing)

    def _squares(self, inputs: Tensor, operator: Tensor) -> Tensor:
        return ((operator - self._alone(inputs)) / self.deviation).square()

    @torch.no_grad()
    def forward(self, inputs: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        terms = -0.5 * self._squares(inputs, operator) - self.deviation.log() - 0.5 * math.log(2 * math.pi)
        return torch.where(mask, terms, 0.0).sum(1)

    @torch.no_grad()
    def rank(self, inputs: Tensor, operator: Tensor, mask: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """The share of a Gaussian's mass that is farther out, by the chi-square law of as many dimensions: no draws."""
        squares = torch.where(mask, self._squares(inputs, operator), 0.0).sum(1).double()
        held = mask.sum(1).double()
        return torch.where(held > 0, torch.special.gammaincc(held.clamp(min=1) / 2, squares / 2), torch.nan)

    @torch.no_grad()
    def plausibility(self, inputs: Tensor, operator: Tensor, mask: Tensor, generator: torch.Generator | None) -> Tensor:
        return -torch.where(mask, self._squares(inputs, operator), 0.0).sum(1)

    @torch.no_grad()
    def fit(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        lots = zip(held_out.states.split(LOT), held_out.actions.split(LOT), strict=True)
        residuals = torch.cat([actions - self._alone(inputs) for inputs, actions in lots])
        self.deviation.copy_(residuals.square().mean(0).sqrt().clamp_min(NARROWEST))


def evidence_of(policy: TorchAssistant) -> Evidence:
    """The best evidence that `policy` has."""
    return DensityEvidence(policy) if isinstance(policy, DensityAssistant) else ResidualEvidence(policy)
