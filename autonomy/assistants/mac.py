"""The MAC assistant: completes the operator's action by sequential conditionals."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import whole
from autonomy.density.mac import MAC
from autonomy.density.masks import MaskLaw
from autonomy.density.mixture import PICKS
from autonomy.density.protocols import CompletionProtocol
from autonomy.types import UserError


class MACAssistant(TorchAssistant):
    """p(a | s) as a MAC; `masks` is the law of what operators hold, `select` how the missing dimensions are chosen.

    select: `mean` (the conditional mean, dimension after dimension: it drifts on where a mode would stall),
    `component` (the heaviest component's mean), `sample`, `density` (the component mean of the highest density), or
    `best-of-n` (of `candidates` samples the one of the highest density). Draws come from a generator of its own, made
    of `seed`. The other parameters are those of `autonomy.density.mac.MAC`.
    """

    SELECTS = (*PICKS, "best-of-n")

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        masks: MaskLaw,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.1,
        edge: float = 0.5,
        evidence_noise: float = 0.0,
        regression: float = 50.0,
        dropout: float = 0.0,
        select: str = "mean",
        candidates: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__(state_dim, action_dim)
        if select not in self.SELECTS:
            raise UserError(f"unknown select {select!r}; the valid ones are {', '.join(self.SELECTS)}")
        self.select, self.candidates = select, whole("candidates", candidates, 1)
        self.density = MAC(
            action_dim,
            state_dim,
            CompletionProtocol(masks),
            width,
            depth,
            components,
            floor,
            edge,
            evidence_noise,
            regression,
            dropout,
        )
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return self.density.loss(actions, self.normaliser(states), generator)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        context = self.normaliser(states)
        if self.select == "best-of-n":
            return self.density.best_of(operator, mask, context, self.candidates, self._generator)
        return self.density.complete(operator, mask, context, self.select, self._generator)

    def intent_score(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """log p(a_operator | s) in nats, (B,): low for an action unlike the demonstrations'."""
        with torch.no_grad():
            return self.density.log_prob(operator, mask, torch.zeros_like(mask), self.normaliser(states))
