"""Gaussian-mixture heads: raw network outputs -> one-dimensional mixtures, and ways to pick a value from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

Pick = Callable[[MixtureSameFamily, torch.Generator | None], Tensor]


class MixtureHead(nn.Module):
    """(B, D * 3K) -> a batch of D mixtures of K Gaussians a row, scale = floor + softplus(raw).

    The floor (in units of x) bounds the likelihood of nearly deterministic dimensions: compare only at equal floors.
    The component means start spread over [-1, 1].
    """

    def __init__(self, dim: int, components: int, floor: float) -> None:
        super().__init__()
        if components < 1 or floor <= 0:
            raise ValueError(f"a mixture needs components >= 1 and floor > 0, got {components} and {floor}")
        self.dim, self.components, self.floor = dim, components, floor
        self.means = nn.Parameter(torch.linspace(-1, 1, components + 2)[1:-1].repeat(dim, 1))

    @property
    def width(self) -> int:
        """The number of raw outputs the head reads."""
        return 3 * self.dim * self.components

    def forward(self, raw: Tensor) -> MixtureSameFamily:
        logits, means, scales = raw.float().view(-1, self.dim, 3, self.components).unbind(-2)
        scale = self.floor + nn.functional.softplus(scales - 1.0)
        return MixtureSameFamily(
            Categorical(logits=logits, validate_args=False),
            Normal(self.means + means, scale, validate_args=False),
            validate_args=False,
        )


def heaviest_component(mixture: MixtureSameFamily, generator: torch.Generator | None) -> Tensor:
    """The mean of the component with the largest weight."""
    best = mixture.mixture_distribution.logits.argmax(-1, keepdim=True)
    return mixture.component_distribution.mean.gather(-1, best).squeeze(-1)


def highest_density(mixture: MixtureSameFamily, generator: torch.Generator | None) -> Tensor:
    """The component mean at which the mixture's density is highest; prone to razor-thin components."""
    means = mixture.component_distribution.mean
    density = mixture.log_prob(means.movedim(-1, 0)).movedim(0, -1)
    return means.gather(-1, density.argmax(-1, keepdim=True)).squeeze(-1)


def expectation(mixture: MixtureSameFamily, generator: torch.Generator | None) -> Tensor:
    """The mixture's mean."""
    return mixture.mean


def draw(mixture: MixtureSameFamily, generator: torch.Generator | None) -> Tensor:
    """A sample, by the explicit generator (on any device): a component by its weight, then its Gaussian."""
    weights = mixture.mixture_distribution.probs
    device = generator.device if generator else weights.device
    chosen = torch.multinomial(weights.reshape(-1, weights.shape[-1]).to(device), 1, generator=generator)
    chosen = chosen.to(weights.device).view(*weights.shape[:-1], 1)
    gaussian = mixture.component_distribution
    mean, scale = gaussian.mean.gather(-1, chosen).squeeze(-1), gaussian.stddev.gather(-1, chosen).squeeze(-1)
    return mean + scale * torch.randn(mean.shape, generator=generator, device=device).to(mean.device)


PICKS: dict[str, Pick] = {
    "component": heaviest_component,
    "mean": expectation,
    "sample": draw,
    "density": highest_density,
}
