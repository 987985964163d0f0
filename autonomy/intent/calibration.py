"""What the belief takes from held-out demonstrations: how far to trust a command, and how long an intent may last."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from autonomy.batches import Rows
from autonomy.density.masks import CardinalityMasks, MaskLaw
from autonomy.intent.assistant import IntentAssistant

TEMPERS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
FLOORS = (0.0001, 0.001, 0.01, 0.03, 0.1)
EPISODES = 12
"""Held-out episodes that temper and floor are fitted to, at most: their evidence takes a network pass for each row."""
LONGEST = 0.99
"""An intent is overdue when it has lasted longer than this share of the demonstrations' stretches of it,"""
SLACK = 1.5
"""times this."""
LEAST = 1e-6
"""The smallest probability whose logarithm counts."""


@torch.no_grad()
def calibrate(assistant: IntentAssistant, training: Rows, validation: Rows, generator: torch.Generator) -> float:
    """Fit patience to the `training` rows, temper and floor to the `validation` rows' intents, in place.

    Temper and floor maximise the mean log belief in the true intent, in nats a step, which is returned, over episodes
    in which an operator holds what the policy's mask law (by default: any dimensions) says.
    """
    assistant.filter.patience.copy_(patience(training, len(assistant.intents)))
    known = validation.intents >= 0
    intents = validation.intents[known]
    assistant.evidence.fit(assistant.inputs(validation.states[known], intents), validation.actions[known])
    lots = _Lots.of(assistant, validation, generator)
    scores = {pair: lots.score(assistant, *pair) for pair in itertools.product(TEMPERS, FLOORS)}
    temper, floor = max(scores, key=lambda pair: scores[pair])
    assistant.filter.temper.fill_(temper)
    assistant.filter.floor.fill_(floor)
    return scores[temper, floor]


def patience(rows: Rows, intents: int) -> Tensor:
    """The steps (K + 1,) after which an intent is overdue; infinite for none of them and for what never occurs."""
    limits = torch.full((intents + 1,), torch.inf, dtype=torch.float64)
    begins = (rows.first | (rows.intents != rows.before)).cpu().nonzero().squeeze(1)
    lengths = torch.diff(begins, append=torch.tensor([len(rows.intents)])).double()
    labels = rows.intents.cpu()[begins]
    for index in range(intents):
        if bool((labels == index).any()):
            limits[index] = SLACK * lengths[labels == index].quantile(LONGEST)
    return limits


class _Lots:
    """Held-out episodes side by side, padded to the longest: what the filter reads at each step, worked out once."""

    def __init__(self, evidence: Tensor, held: Tensor, transition: Tensor, labels: Tensor) -> None:
        self.evidence, self.held, self.transition, self.labels = evidence, held, transition, labels

    @classmethod
    def of(cls, assistant: IntentAssistant, rows: Rows, generator: torch.Generator) -> _Lots:
        law: MaskLaw = getattr(assistant.policy, "masks", CardinalityMasks(assistant.action_dim))
        starts = rows.first.nonzero().squeeze(1).tolist()
        stops = [*starts[1:], len(rows.first)]
        spans = [(a, b) for a, b in zip(starts, stops, strict=True) if bool((rows.intents[a:b] >= 0).any())][:EPISODES]
        masks = law.sample(len(spans), generator).to(rows.states.device)
        parts: list[tuple[Tensor, ...]] = []
        for (start, stop), mask in zip(spans, masks, strict=True):
            states, actions, held = rows.states[start:stop], rows.actions[start:stop], mask.expand(stop - start, -1)
            evidence = assistant.log_evidence(states, torch.where(held, actions, 0.0), held)
            parts.append((evidence, held.sum(1), assistant.persistence.transition(states), rows.intents[start:stop]))
        padded = [pad_sequence(list(column)) for column in list(zip(*parts, strict=True))[:3]]
        labels = pad_sequence([part[3] for part in parts], padding_value=-1)
        return cls(padded[0], padded[1], padded[2], labels)

    def score(self, assistant: IntentAssistant, temper: float, floor: float) -> float:
        """The mean log belief in the true intent with this temper and floor, in nats a step."""
        belief_filter = assistant.filter
        belief_filter.temper.fill_(temper)
        belief_filter.floor.fill_(floor)
        meant = torch.ones(self.labels.shape[1], len(assistant.intents) + 1, dtype=torch.bool).to(self.labels.device)
        belief, nobody = belief_filter.first(meant), torch.full_like(self.labels[0], -1)
        beliefs = []
        for evidence, held, transition in zip(self.evidence, self.held, self.transition, strict=True):
            prior = belief_filter.predicted(belief, nobody, transition, meant)
            belief = belief_filter.updated(prior, evidence, held)
            beliefs.append(belief)
        true = torch.stack(beliefs).gather(2, self.labels.clamp(min=0)[..., None]).squeeze(2)
        return float(true[self.labels >= 0].clamp_min(LEAST).log().mean())
