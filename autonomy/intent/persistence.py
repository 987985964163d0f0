"""How intents follow each other: p(z_t | z_(t-1), s_t), learned from labelled demonstrations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonomy.batches import Rows
from autonomy.checks import number, whole
from autonomy.data.normaliser import Normaliser
from autonomy.density.network import Linear
from autonomy.fit import TrainingSettings, fit
from autonomy.intent.counterfactual import Counterfactual
from autonomy.run_directory import RunDirectory
from autonomy.schedules import Cosine

ALIKE = 4
"""Rows that a product has at least. For fewer, CPUs take another path, which rounds differently: what is said of an
episode would depend on how many others are beside it."""
RARE = 20
"""How many more times a row is drawn at which the intent changes; its weight in the loss is smaller by as much."""


class Persistence(nn.Module):
    """A finished task is left, an open one is kept: a classifier of the next intent, (states, intent) -> K + 1 logits.

    The last of the K + 1 is "none of them". `members` classifiers of two hidden layers of `width` units are trained
    side by side from different initial weights, and their probabilities are averaged: one alone is fragile where no
    demonstration was. `blur` is the deviation of noise on the training states, in the normaliser's units, and `steps`
    the number of optimiser steps, of which those are kept that held-out episodes like best. A row that keeps its intent
    may be a `counterfactual` one; at a change the state tells which intents are left.
    """

    def __init__(
        self,
        state_dim: int,
        intents: int,
        width: int = 256,
        members: int = 4,
        dropout: float = 0.1,
        blur: float = 0.02,
        steps: int = 2000,
        counterfactual: Counterfactual | None = None,
    ) -> None:
        super().__init__()
        self.steps = whole("persistence.steps", steps, 1)
        self.intents = whole("intents", intents, 1)
        self.members, self.blur = whole("members", members, 2), number("blur", blur, 0)
        self.counterfactual = counterfactual
        self.normaliser = Normaliser(torch.zeros(state_dim), torch.ones(state_dim))
        self.layers = nn.Sequential(
            Linear(state_dim + intents + 1, width, members),
            nn.SiLU(),
            nn.Dropout(dropout),
            Linear(width, width, members),
            nn.SiLU(),
            nn.Dropout(dropout),
            Linear(width, intents + 1, members),
        )

    def learn(self, training: Rows, validation: Rows, folder: RunDirectory, seed: int) -> None:
        """Train on the labelled rows of `training`, or go on where `folder` stopped."""
        self.normaliser = Normaliser.fit(training.states).to(training.states.device)
        folder.path.mkdir(exist_ok=True)
        every = max(1, self.steps // 8)
        settings = TrainingSettings(
            self.steps, weight_decay=0.05, schedule=Cosine(), batch_size=128, validate_every=every
        )
        self.requires_grad_(True)
        fit(self, self.repeated(training), self.labelled(validation), settings, folder, seed)
        self.requires_grad_(False)

    @staticmethod
    def labelled(rows: Rows) -> Rows:
        """The rows of episodes with labels."""
        known = rows.intents >= 0
        return Rows(*(part[known] for part in rows))

    @classmethod
    def repeated(cls, rows: Rows) -> Rows:
        """The labelled rows, those at which the intent changes `RARE` + 1 times."""
        rows = cls.labelled(rows)
        changes = rows.intents != rows.before
        return Rows(*(torch.cat([part, part[changes].repeat(RARE, *[1] * (part.ndim - 1))]) for part in rows))

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor:
        """The mean negative log-likelihood of the intents given those before, in nats.

        In training the rows are drawn from `repeated` ones, whose weights are smaller by as much.
        """
        states, before = batch.states, nn.functional.one_hot(batch.before, self.intents + 1)
        if self.training and self.counterfactual is not None:
            states = self.counterfactual(states, batch.intents, batch.intents == batch.before, generator)
        states = self.normaliser(states)
        if self.training:
            states = states + self.blur * torch.randn(states.shape, generator=generator).to(states.device)
        inputs = torch.cat([states, before], 1).view(self.members, -1, states.shape[1] + before.shape[1])
        losses = nn.functional.cross_entropy(self.layers(inputs).flatten(0, 1), batch.intents, reduction="none")
        if not self.training:
            return losses.mean()
        weights = torch.where(batch.intents == batch.before, 1.0, 1 / (RARE + 1))
        return (weights * losses).sum() / weights.sum()

    def transition(self, states: Tensor) -> Tensor:
        """p(z' | z, s) at states (B, S): (B, K + 1, K + 1), from z in rows to z' in columns, float64."""
        size = self.intents + 1
        every = torch.arange(max(size, ALIKE), device=states.device).clamp(max=size - 1)
        before = nn.functional.one_hot(every, size).to(states).repeat(len(states), 1)
        inputs = torch.cat([self.normaliser(states).repeat_interleave(len(every), 0), before], 1)
        scores: Tensor = self.layers(inputs.expand(self.members, -1, -1))
        return torch.softmax(scores.double(), -1).mean(0).view(len(states), -1, size)[:, :size]
