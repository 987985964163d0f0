"""Finding low energies in the box [-1, 1]^D (Florence et al., 2021, arXiv:2109.00137, B.1 and B.3).

Everywhere `values` and `held` are (B, D): where `held` is True a dimension is clamped to its value, bit for bit,
through the whole search, and only the others move (in-painting). Values that are not held are not read.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import final

import torch
from torch import Tensor

from autonomy.checks import number, whole
from autonomy.energy.infonce import Energy, slope


class Sampler(abc.ABC):
    """How negatives are drawn and energies minimised. Draws come from a generator on the CPU."""

    @abc.abstractmethod
    def negatives(self, energy: Energy, values: Tensor, held: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """What training contrasts a demonstrated action with, (B, count, D), without a gradient."""

    @abc.abstractmethod
    def minimise(self, energy: Energy, values: Tensor, held: Tensor, generator: torch.Generator) -> Tensor:
        """The action of the lowest energy found, (B, D)."""


@final
@dataclasses.dataclass(frozen=True)
class DerivativeFree(Sampler):
    """`rounds` of `samples`: resample by softmax(-E), add Gaussian noise, `sigma` at first and `shrink` times as much
    each round after it, and clip to the box. Good to about five dimensions. Negatives are uniform.

    Raises `UserError` for numbers out of range.
    """

    samples: int = 16384
    rounds: int = 3
    sigma: float = 0.33
    shrink: float = 0.5

    def __post_init__(self) -> None:
        whole("sampler.samples", self.samples, 1)
        whole("sampler.rounds", self.rounds, 1)
        number("sampler.sigma", self.sigma, 0, above=True)
        number("sampler.shrink", self.shrink, 0, 1, above=True)

    def negatives(self, energy: Energy, values: Tensor, held: Tensor, count: int, generator: torch.Generator) -> Tensor:
        return _uniform(values, held, count, generator)

    @torch.no_grad()
    def minimise(self, energy: Energy, values: Tensor, held: Tensor, generator: torch.Generator) -> Tensor:
        actions = _uniform(values, held, self.samples, generator)
        energies = energy(actions)
        for index in range(self.rounds - 1):
            likely = torch.softmax(-energies, 1).cpu().multinomial(self.samples, True, generator=generator)
            actions = actions.take_along_dim(likely.to(actions.device)[:, :, None], 1)
            noise = self.sigma * self.shrink**index * _normal(actions, generator)
            actions = _clamped(actions + noise, values, held)
            energies = energy(actions)
        return _lowest(actions, energies)


@final
@dataclasses.dataclass(frozen=True)
class Langevin(Sampler):
    """Stochastic gradient Langevin steps a <- a - clip(size (dE/da / 2 + noise z), +-limit), z ~ N(0, 1), in the box.

    The step size falls from `start` to `end` as a polynomial of degree `power` over `steps`. Minimising runs the chain
    from `samples` uniform actions, then `again_steps` more of the size `again` without noise, for precision. Negatives
    are ends of the first chain.

    Raises `UserError` for numbers out of range.
    """

    samples: int = 512
    steps: int = 100
    start: float = 0.5
    end: float = 1e-5
    power: float = 2.0
    limit: float = 0.5
    noise: float = 0.5
    again: float = 1e-5
    again_steps: int = 100

    def __post_init__(self) -> None:
        for name, low in (("samples", 1), ("steps", 1), ("again_steps", 0)):
            whole(f"sampler.{name}", getattr(self, name), low)
        for name in ("start", "end", "power", "limit", "again"):
            number(f"sampler.{name}", getattr(self, name), 0, above=True)
        number("sampler.noise", self.noise, 0)

    @property
    def sizes(self) -> list[float]:
        """Of the steps of the first chain: (start - end) (1 - k / (steps - 1))^power + end."""
        fractions = [1 - index / max(1, self.steps - 1) for index in range(self.steps)]
        return [(self.start - self.end) * fraction**self.power + self.end for fraction in fractions]

    def negatives(self, energy: Energy, values: Tensor, held: Tensor, count: int, generator: torch.Generator) -> Tensor:
        actions = _uniform(values, held, count, generator)
        for size in self.sizes:
            actions = self._step(energy, actions, values, held, size, self.noise * _normal(actions, generator))
        return actions

    def minimise(self, energy: Energy, values: Tensor, held: Tensor, generator: torch.Generator) -> Tensor:
        actions = self.negatives(energy, values, held, self.samples, generator)
        for _ in range(self.again_steps):
            actions = self._step(energy, actions, values, held, self.again, torch.zeros_like(actions))
        with torch.no_grad():
            return _lowest(actions, energy(actions))

    def _step(
        self, energy: Energy, actions: Tensor, values: Tensor, held: Tensor, size: float, noise: Tensor
    ) -> Tensor:
        change = size * (0.5 * slope(energy, actions) + noise)
        return _clamped(actions - change.clamp(-self.limit, self.limit), values, held)


def _uniform(values: Tensor, held: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` uniform actions of the box for each row, (B, count, D), with the held values in them."""
    drawn = torch.rand(len(values), count, values.shape[1], generator=generator).to(values)
    return _clamped(2 * drawn - 1, values, held)


def _normal(actions: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(actions.shape, generator=generator).to(actions)


def _clamped(actions: Tensor, values: Tensor, held: Tensor) -> Tensor:
    """Actions (B, N, D) clipped to the box, but at their values where held; these may lie outside."""
    return torch.where(held[:, None], values[:, None], actions.clamp(-1, 1))


def _lowest(actions: Tensor, energies: Tensor) -> Tensor:
    return actions[torch.arange(len(actions), device=actions.device), energies.argmin(1)]
