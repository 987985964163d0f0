"""One-dimensional laws of categories, and batches in which some laws are of categories and others of numbers."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autonomy.density.conditional import Conditional, MixtureConditional


class Discrete(Conditional, abc.ABC):
    """Laws of the values 0, 1, ..., n - 1, which are floats, from `log_probs` (*S, n)."""

    def __init__(self, log_probs: Tensor) -> None:
        self.log_probs = log_probs

    @property
    def _values(self) -> Tensor:
        return torch.arange(self.log_probs.shape[-1], dtype=self.log_probs.dtype, device=self.log_probs.device)

    @property
    def mean(self) -> Tensor:
        """The expected value, S, which is no category as a rule."""
        return (self.log_probs.exp() * self._values).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest category, S; the first of several."""
        return self.log_probs.argmax(-1).to(self.log_probs.dtype)

    def pick(self, name: str, generator: torch.Generator | None = None) -> Tensor:
        """As that of other laws, but always a category: the mode stands for the mean."""
        return super().pick("mode" if name == "mean" else name, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log probabilities at `x` (broadcast with S), in nats; -inf at a value that is no category."""
        shape = torch.broadcast_shapes(x.shape, self.log_probs.shape[:-1])
        index = x.nan_to_num(-1.0).clamp(0, self.log_probs.shape[-1] - 1).long().expand(shape)
        found = self.log_probs.expand(*shape, -1).gather(-1, index[..., None]).squeeze(-1)
        return torch.where(index == x, found, -math.inf)

    def cdf(self, x: Tensor) -> Tensor:
        return (self.log_probs.exp() * (self._values <= x[..., None])).sum(-1).clamp(max=1.0)

    def quantile(self, q: Tensor) -> Tensor:
        """The least category v with P(X <= v) >= q."""
        below = self.log_probs.exp().cumsum(-1)[..., :-1] < q[..., None]
        return below.sum(-1).to(self.log_probs.dtype)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        device = generator.device if generator else self.log_probs.device
        flat = self.log_probs.exp().reshape(-1, self.log_probs.shape[-1]).to(device)
        drawn = torch.multinomial(flat, 1, generator=generator)
        return drawn.to(self.log_probs).view(self.log_probs.shape[:-1])


class Categorical(Discrete):
    """Each of the categories 0, ..., n - 1 with the weight exp(`logits`), (*S, n)."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(torch.log_softmax(logits, -1))

    def view(self, *shape: int) -> Categorical:
        return Categorical(self.log_probs.view(*shape, -1))


class Bernoulli(Discrete):
    """1 with the probability sigmoid(`logits`), S, and 0 otherwise."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(torch.nn.functional.logsigmoid(torch.stack([-logits, logits], -1)))
        self.logits = logits

    def view(self, *shape: int) -> Bernoulli:
        return Bernoulli(self.logits.view(*shape))


class MixedConditional(Conditional):
    """A batch of the shape `shape`, put together from `parts` of other batches, each of the shape (n,).

    `places` are the positions (n,) of each part's laws in the flattened batch; together they are all of them. A pick
    that a law does not know, as the component of a category's, is its mode.
    """

    def __init__(self, parts: Sequence[Conditional], places: Sequence[Tensor], shape: Sequence[int]) -> None:
        self._parts, self._places, self._shape = list(parts), list(places), torch.Size(shape)
        self._order = torch.cat(self._places).argsort()

    @classmethod
    def picks(cls) -> tuple[str, ...]:
        return MixtureConditional.picks()

    def view(self, *shape: int) -> MixedConditional:
        return MixedConditional(self._parts, self._places, torch.empty(self._shape, device="meta").view(*shape).shape)

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        """What the parts say (*L, n) each, as one tensor (*L, *S)."""
        flat = torch.cat(list(values), -1)[..., self._order]
        return flat.view(*flat.shape[:-1], *self._shape)

    def _each(self, method: str, values: Tensor) -> Tensor:
        """What `method` of the laws says of `values`, which are broadcast with S."""
        whole = values.expand(torch.broadcast_shapes(values.shape, self._shape))
        flat = whole.reshape(*whole.shape[: whole.ndim - len(self._shape)], -1)
        pairs = zip(self._parts, self._places, strict=True)
        return self._joined([getattr(part, method)(flat[..., place]) for part, place in pairs])

    @property
    def mean(self) -> Tensor:
        return self._joined([part.mean for part in self._parts])

    @property
    def mode(self) -> Tensor:
        return self._joined([part.mode for part in self._parts])

    def log_prob(self, x: Tensor) -> Tensor:
        return self._each("log_prob", x)

    def cdf(self, x: Tensor) -> Tensor:
        return self._each("cdf", x)

    def quantile(self, q: Tensor) -> Tensor:
        return self._each("quantile", q)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self._joined([part.sample(generator) for part in self._parts])

    def pick(self, name: str, generator: torch.Generator | None = None) -> Tensor:
        if name not in self.picks():
            return super().pick(name, generator)
        known = [name if name in part.picks() else "mode" for part in self._parts]
        return self._joined([part.pick(own, generator) for part, own in zip(self._parts, known, strict=True)])
