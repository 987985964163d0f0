"""Implicit behaviour cloning: the action of least energy (Florence et al., CoRL 2021, arXiv:2109.00137)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn.utils.parametrize import cached

from autonomy.assistants.base import TorchAssistant
from autonomy.checks import number, whole
from autonomy.data.normaliser import Normaliser
from autonomy.energy.infonce import gradient_penalty, info_nce
from autonomy.energy.network import EnergyNetwork
from autonomy.energy.samplers import Sampler
from autonomy.types import UserError


class IBC(TorchAssistant):
    """a = argmin E(s, a); what the operator holds stays clamped while the rest is searched.

    Trained on whole actions by InfoNCE against `negatives` of `sampler`, plus `penalty` times the squared excess of the
    energy's slope over `margin`. Actions are scaled to [-1, 1] by the training actions' range widened by `buffer` of it
    on both sides. Draws of `complete` come from a generator of its own, made of `seed`. Raises `UserError` for
    another sampler and numbers out of range.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        sampler: Sampler,
        width: int = 512,
        depth: int = 8,
        spectral: bool = True,
        negatives: int = 8,
        penalty: float = 1.0,
        margin: float = 1.0,
        buffer: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__(state_dim, action_dim)
        if not isinstance(sampler, Sampler):
            raise UserError(f"unknown sampler {sampler!r}; the valid ones are Langevin(...) and DerivativeFree(...)")
        self.sampler = sampler
        self.negatives = whole("negatives", negatives, 1)
        self.penalty, self.margin = number("penalty", penalty, 0), number("margin", margin, 0)
        self.buffer = number("buffer", buffer, 0)
        self.scaler = Normaliser(torch.zeros(action_dim), torch.ones(action_dim))
        self.network = EnergyNetwork(state_dim, action_dim, width, depth, spectral)
        self._generator = torch.Generator().manual_seed(seed)

    def fit_normaliser(self, states: Tensor, actions: Tensor) -> None:
        super().fit_normaliser(states, actions)
        self.scaler = Normaliser.of_range(actions, self.buffer)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        energy = functools.partial(self.network, self.normaliser(states))
        positives, nothing = self.scaler(actions), torch.zeros_like(actions, dtype=torch.bool)
        with cached():  # one spectral norm, with one power iteration, for the whole chain
            negatives = self.sampler.negatives(energy, positives, nothing, self.negatives, generator)
            candidates = torch.cat([positives[:, None], negatives], 1)
            loss = info_nce(energy(candidates))
            if self.penalty:
                loss = loss + self.penalty * gradient_penalty(energy, candidates, self.margin)
        return loss

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        energy = functools.partial(self.network, self.normaliser(states))
        with cached():
            found = self.sampler.minimise(energy, self.scaler(operator), mask, self._generator)
        return self.scaler.inverse(found)
