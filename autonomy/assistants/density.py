"""The assistant that completes the operator's action by a density, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import choice, whole
from autonomy.density.base import Density
from autonomy.density.conformal import Conformal
from autonomy.density.coverage import Coverage, coverage
from autonomy.density.ensemble import Ensemble
from autonomy.density.masks import MaskLaw
from autonomy.density.protocols import CompletionProtocol
from autonomy.density.stray import Stray

if TYPE_CHECKING:
    from autonomy.batches import Rows

CALIBRATING = 2000
"""Held-out rows by which it is known how often demonstrators stray, at most."""
DRAWS = 8
"""How many draws of p(a_operator | s) tell which log density is to be expected in a state."""


class DensityAssistant(TorchAssistant):
    """p(a | s) as `density`, whose context are the normalised states; `masks` is the law of what operators hold.

    select: `mean` (the conditional mean, dimension after dimension: it drifts on where a mode would stall), `mode` (the
    conditional mode), `component` (the heaviest component's mean), `sample`, `density` (the component mean of the
    highest density), or `best-of-n` (of `candidates` samples the one of the highest density). Draws come from a
    generator of its own, made of `seed`. With `members` > 1 the density's network has as many, and the density is their
    `Ensemble`. `select` is one of the density's `picks` or best-of-n.
    """

    def __init__(
        self,
        density: Density,
        masks: MaskLaw,
        select: str = "mean",
        candidates: int = 16,
        seed: int = 0,
        members: int = 1,
    ) -> None:
        density = density if members == 1 else Ensemble(density, members)
        super().__init__(density.context_dim, density.dim)
        self.members = members
        self.select = choice("select", select, (*density.picks, "best-of-n"))
        self.density, self.masks, self.candidates = density, masks, whole("candidates", candidates, 1)
        self.stray = Stray(density)
        self.conformal = Conformal(self.state_dim, self.action_dim)
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return self.density.loss(actions, self.normaliser(states), generator)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        context = self.normaliser(states)
        if self.select == "best-of-n":
            return self.density.best_of_n(operator, mask, context, self.candidates, self._generator)
        return self.density.complete(operator, mask, context, self.select, self._generator)

    def intent_score(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """log p(a_operator | s) in nats, (B,): low for an action unlike the demonstrations'; 0 for an empty mask."""
        score, rows = operator.new_zeros(len(operator)), mask.any(1)
        with torch.no_grad():
            score[rows] = self.stray.log_prob(operator[rows], mask[rows], self.normaliser(states[rows]))
        return score

    def plausibility(
        self, states: Tensor, operator: Tensor, mask: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Say how much likelier than expected the operator's action is, in nats, (B,); see `Stray.plausibility`."""
        return self.stray.plausibility(operator, mask, self.normaliser(states), DRAWS, generator)

    def intent_rank(
        self,
        states: Tensor,
        operator: Tensor,
        mask: Tensor,
        n: int = 99,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """How probable the operator's action is, (B,) in (0, 1]; NaN: empty mask.

        Of demonstrated actions a share a has a rank <= a: see `autonomy.density.conformal.Conformal`. A run that has
        not been calibrated ranks the action beside `n` draws of p(a_operator | s), `autonomy.density.stray.Stray.rank`:
        uniform where the model is right. The assistant's own draws stay as they are.
        """
        if self.conformal.fitted:
            return self.conformal.p_value(self.plausibility, states, operator, mask, generator)
        rank, rows = states.new_full((len(states),), torch.nan, dtype=torch.float64), mask.any(1)
        rank[rows] = self.stray.rank(operator[rows], mask[rows], self.normaliser(states[rows]), n, generator)
        return rank

    def calibrate(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        """Fit how often demonstrators stray, and how improbable what they do is, to rows that training has not seen."""
        self.fit_stray(training, held_out, generator)
        self.conformal.fit(held_out, generator)

    def fit_stray(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        """Fit how often demonstrators stray to rows that training has not seen; held by `masks`."""
        index = torch.randperm(len(held_out.states), generator=generator)[:CALIBRATING].to(held_out.states.device)
        mask = self.masks.sample(len(index), generator).to(held_out.states.device)
        context = self.normaliser(held_out.states[index])
        self.stray.fit(training.actions, held_out.actions[index], mask, context)

    def coverage(self, masks: MaskLaw | None = None) -> Coverage | None:
        """Say which steps of completing what operators hold training never visits; see `TorchAssistant.coverage`.

        Operators hold what `masks` says, by default what the assistant was made for.
        """
        trained = self.density.protocol
        if trained is None:
            return None
        return coverage(trained, CompletionProtocol(masks or self.masks, trained.ranks.argsort().tolist()))
