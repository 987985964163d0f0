"""One-dimensional conditionals p(x_i | x_e, c) in batches, and the ways to take a value from them."""

from __future__ import annotations

import abc
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Normal

from autonomy.types import UserError

ASCENT_STEPS = 100
ASCENT_TOLERANCE = 1e-4
"""Of the smallest scale: an ascent that moves by less has arrived."""
BISECTIONS = 60
"""Halvings of a bracket: enough for every bit of a float64."""


class Conditional(abc.ABC):
    """A batch, of any shape S, of independent one-dimensional distributions."""

    @property
    @abc.abstractmethod
    def mean(self) -> Tensor:
        """S."""

    @property
    @abc.abstractmethod
    def mode(self) -> Tensor:
        """Where the density is highest, S."""

    @abc.abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log densities at `x` (broadcast with S), in nats."""

    @abc.abstractmethod
    def cdf(self, x: Tensor) -> Tensor:
        """P(X <= x)."""

    @abc.abstractmethod
    def quantile(self, q: Tensor) -> Tensor:
        """The x with P(X <= x) = q, for `q` in (0, 1) broadcast with S."""

    @abc.abstractmethod
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw of each, S, by the explicit generator (on any device)."""

    @abc.abstractmethod
    def view(self, *shape: int) -> Conditional:
        """The same distributions as a batch of another shape."""

    def pick(self, name: str, generator: torch.Generator | None = None) -> Tensor:
        """The value that `name` means, S: `sample`, or a property such as `mean`. Raises `UserError` for others."""
        if name not in self.picks():
            raise UserError(f"unknown pick {name!r}; the valid ones are {', '.join(self.picks())}")
        return self.sample(generator) if name == "sample" else getattr(self, name)

    @classmethod
    def picks(cls) -> tuple[str, ...]:
        """The names that `pick` takes."""
        return ("mean", "mode", "sample")


class MixtureConditional(Conditional):
    """Gaussian mixtures from `logits`, `means` and `scales` (*S, K).

    The formulas of torch's `MixtureSameFamily`, with weights that are normalised once instead of in every call.
    """

    def __init__(self, logits: Tensor, means: Tensor, scales: Tensor) -> None:
        self.means, self.scales = means, scales
        self.log_weights = torch.log_softmax(logits, -1)

    @cached_property
    def _components(self) -> Normal:
        return Normal(self.means, self.scales, validate_args=False)

    @classmethod
    def picks(cls) -> tuple[str, ...]:
        return (*super().picks(), "component", "density")

    def view(self, *shape: int) -> MixtureConditional:
        logits, means, scales = (part.view(*shape, -1) for part in (self.log_weights, self.means, self.scales))
        return MixtureConditional(logits, means, scales)

    @property
    def mean(self) -> Tensor:
        return (self.log_weights.exp() * self.means).sum(-1)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation, S."""
        spread = self.scales.square() + (self.means - self.mean[..., None]).square()
        return (self.log_weights.exp() * spread).sum(-1).sqrt()

    @property
    def component(self) -> Tensor:
        """The mean of the heaviest component, S."""
        return self._at(self.log_weights.argmax(-1, keepdim=True))[0]

    @property
    def density(self) -> Tensor:
        """The component mean at which the density is highest, S; prone to razor-thin components."""
        return self._highest(self.means)

    @property
    def mode(self) -> Tensor:
        """Where the density is highest, S: the best end of an ascent from each component's mean.

        Every step is the better one of Newton's and of the fixed point x = sum_k r_k m_k / s_k^2 / sum_k r_k / s_k^2,
        with responsibilities r_k; the latter never descends (Carreira-Perpinan, IEEE PAMI 22(11), 2000).
        """
        x = self.means
        tolerance = ASCENT_TOLERANCE * self.scales.amin(-1, keepdim=True) + 4 * torch.finfo(x.dtype).eps * x.abs()
        for _ in range(ASCENT_STEPS):
            before, x = x, self._ascend(x)
            if bool(((x - before).abs() <= tolerance).all()):
                break
        return self._highest(x)

    def _ascend(self, x: Tensor) -> Tensor:
        """One step up from each of the candidates `x` (*S, K)."""
        means, precisions = self.means[..., None, :], self.scales[..., None, :] ** -2
        gaps = means - x[..., None]
        terms = self.log_weights[..., None, :] + 0.5 * precisions.log() - 0.5 * gaps.square() * precisions
        pulls = torch.softmax(terms, -1) * precisions  # r_k / s_k^2
        slope, total = (pulls * gaps).sum(-1), pulls.sum(-1)
        bend = (pulls * gaps.square() * precisions).sum(-1) - total - slope.square()
        fixed = x + slope / total
        newton = torch.where(bend < 0, x - slope / bend, fixed)
        return torch.where(self._log_probs(newton) > self._log_probs(fixed), newton, fixed)

    def _log_probs(self, x: Tensor) -> Tensor:
        """Of several values (*S, N) of each."""
        return self.log_prob(x.movedim(-1, 0)).movedim(0, -1)

    def _highest(self, x: Tensor) -> Tensor:
        """Of candidates (*S, N) the one of the highest density, S."""
        return x.gather(-1, self._log_probs(x).argmax(-1, keepdim=True)).squeeze(-1)

    def _at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale, S, of the components `index` (*S, 1)."""
        return self.means.gather(-1, index).squeeze(-1), self.scales.gather(-1, index).squeeze(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        log_probs: Tensor = self._components.log_prob(x[..., None])
        return torch.logsumexp(self.log_weights + log_probs, -1)

    def cdf(self, x: Tensor) -> Tensor:
        cdfs: Tensor = self._components.cdf(x[..., None])
        return (self.log_weights.exp() * cdfs).sum(-1)

    def quantile(self, q: Tensor) -> Tensor:
        """By bisection between the smallest and the greatest quantile of the components, which enclose it."""
        normal: Tensor = torch.special.ndtri(q[..., None])
        ends = self.means + self.scales * normal
        low, high = ends.amin(-1), ends.amax(-1)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < q
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A component by its weight, then its Gaussian."""
        weights = self.log_weights.exp()
        device = generator.device if generator else weights.device
        flat = weights.reshape(-1, weights.shape[-1]).to(device)
        chosen = torch.multinomial(flat, 1, generator=generator).to(weights.device).view(*weights.shape[:-1], 1)
        mean, scale = self._at(chosen)
        noise = torch.randn(mean.shape, dtype=mean.dtype, generator=generator, device=device)
        return mean + scale * noise.to(mean.device)
