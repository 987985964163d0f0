"""What the belief takes from held-out demonstrations: how far to trust a command, and how long an intent may last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from autonomy.batches import Rows
from autonomy.density.masks import CardinalityMasks
from autonomy.intent.belief import weighed

if TYPE_CHECKING:
    from autonomy.intent.assistant import IntentAssistant

TEMPERS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
FLOORS = (0.0001, 0.001, 0.01, 0.03, 0.1)
EPISODES, DRAWS = 12, 2
"""Held-out episodes that temper and floor are fitted to, at most, and how often each is played with other dimensions
held: their evidence takes a network pass for each row."""
FEW = 1 / 3
"""The largest share of the dimensions that is held in the fit: where more are held, little hangs on the belief."""
LONGEST = 0.95
"""An intent is overdue when it has lasted longer than this share of the demonstrations' stretches of it."""
LEAST = 1e-6
"""The smallest probability whose logarithm counts."""


@torch.no_grad()
def fit_filter(assistant: IntentAssistant, training: Rows, validation: Rows, generator: torch.Generator) -> None:
    """Fit patience to the `training` rows, temper and floor to the `validation` rows' intents, in place.

    They are judged by the mean log belief in the true intent, in nats a step, over episodes in which an operator holds
    a few of the dimensions. Which tasks an episode's demonstrator did is known, as it is in play which can be meant;
    their order is not. With more temper the belief follows the operator sooner, so `boldest` chooses among tempers that
    the score can hardly tell apart.
    """
    assistant.filter.patience.copy_(patience(training, len(assistant.intents)))
    lots = _Lots.of(assistant, validation, generator)
    pairs = torch.cartesian_prod(*(torch.tensor(values, dtype=torch.float64) for values in (TEMPERS, FLOORS)))
    scores = lots.scores(assistant, pairs)
    temper, floor = pairs[boldest(scores, pairs[:, 0])]
    assistant.filter.temper.copy_(temper)
    assistant.filter.floor.copy_(floor)


def boldest(scores: Tensor, tempers: Tensor) -> int:
    """Find the pair of the largest temper that is about as good as the best one, by `scores` (G, M) in M episodes.

    That is: whose mean is not smaller by more than one standard error of the difference over episodes, none for a
    single episode (the one-standard-error rule; Breiman et al., Classification and Regression Trees, 1984, section
    3.4.3). Among pairs of that temper the one of the best mean is taken. `tempers` (G,) are those of the pairs.
    """
    means, episodes = scores.mean(1), scores.shape[1]
    behind = scores[means.argmax()] - scores
    error = behind.std(1) / math.sqrt(episodes) if episodes > 1 else 0.0
    close = behind.mean(1) <= error
    most = tempers[close].max()
    return int(torch.where(close & (tempers == most), means, -torch.inf).argmax())


def patience(rows: Rows, intents: int) -> Tensor:
    """The steps (K + 1,) after which an intent is overdue; infinite for none of them and for what never occurs."""
    limits = torch.full((intents + 1,), torch.inf, dtype=torch.float64)
    begins = (rows.first | (rows.intents != rows.before)).cpu().nonzero().squeeze(1)
    lengths = torch.diff(begins, append=torch.tensor([len(rows.intents)])).double()
    labels = rows.intents.cpu()[begins]
    for index in range(intents):
        if bool((labels == index).any()):
            limits[index] = lengths[labels == index].quantile(LONGEST)
    return limits


class _Lots:
    """Held-out episodes side by side, padded to the longest: what the filter reads at each step, worked out once.

    `evidence` (T, M, K + 1), `held` and `labels` (T, M), `transition` (T, M, K + 1, K + 1), `meant` (M, K + 1).
    """

    def __init__(self, evidence: Tensor, held: Tensor, transition: Tensor, labels: Tensor, meant: Tensor) -> None:
        self.evidence, self.held, self.transition = evidence, held, transition
        self.labels, self.meant = labels, meant

    @classmethod
    def of(cls, assistant: IntentAssistant, rows: Rows, generator: torch.Generator) -> _Lots:
        starts = rows.first.nonzero().squeeze(1).tolist()
        stops = [*starts[1:], len(rows.first)]
        spans = [(a, b) for a, b in zip(starts, stops, strict=True) if bool((rows.intents[a:b] >= 0).any())][:EPISODES]
        spans = spans * DRAWS
        few = CardinalityMasks(assistant.action_dim, 1, max(1, round(FEW * assistant.action_dim)))
        masks = few.sample(len(spans), generator).to(rows.states.device)
        parts = [
            _evidence(assistant, rows.at(torch.arange(*span)), held) for span, held in zip(spans, masks, strict=True)
        ]
        *padded, meant = zip(*parts, strict=True)
        labels = pad_sequence([rows.intents[slice(*span)] for span in spans], padding_value=-1)
        evidence, held, transition = (pad_sequence(list(column)) for column in padded)
        return cls(evidence, held, transition, labels, torch.stack(meant))

    def scores(self, assistant: IntentAssistant, pairs: Tensor) -> Tensor:
        """The mean log belief in the true intent, in nats a step, in each of the E episodes, (G, E) on the CPU.

        `pairs` (G, 2) are tempers and floors, tried side by side: G times as many rows, one pass over the steps. The
        `DRAWS` of an episode are averaged, since they are not independent.
        """
        tries, episodes = len(pairs), self.labels.shape[1]
        temper, floor = pairs.repeat_interleave(episodes, 0).to(self.evidence.device).split(1, 1)
        meant = self.meant.repeat(tries, 1)
        belief, nobody = assistant.filter.first(meant), torch.full_like(meant[:, 0], -1, dtype=torch.int64)
        total = temper.new_zeros(tries, episodes)
        for evidence, held, transition, labels in zip(
            self.evidence, self.held, self.transition, self.labels, strict=True
        ):
            prior = assistant.filter.predicted(belief, nobody, transition.repeat(tries, 1, 1), meant)
            belief = weighed(prior, evidence.repeat(tries, 1), held.repeat(tries), temper, floor)
            true = belief.view(tries, episodes, -1)[:, torch.arange(episodes), labels.clamp(min=0)]
            total += torch.where(labels >= 0, true.clamp_min(LEAST).log(), 0.0)
        means: Tensor = total / (self.labels >= 0).sum(0)
        return means.view(tries, DRAWS, -1).mean(1).cpu()


def _evidence(assistant: IntentAssistant, rows: Rows, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Work out what the filter reads in an episode of T `rows` whose operator holds `mask` (D,).

    Returns log evidence (T, K + 1), the number of held dimensions (T,), transitions (T, K + 1, K + 1) and the intents
    that are meant in it (K + 1,).
    """
    held = mask.expand(len(rows.states), -1)
    meant = torch.isin(torch.arange(len(assistant.intents) + 1).to(rows.intents), rows.intents)
    meant[-1] = True
    evidence = assistant.log_evidence(
        rows.states, torch.where(held, rows.actions, 0.0), held, meant.expand(len(held), -1)
    )
    return evidence, held.sum(1), assistant.persistence.transition(rows.states), meant
