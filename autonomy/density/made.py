"""MADE, the masked autoencoder (Germain, Gregor, Murray, Larochelle, ICML 2015), order- and connectivity-agnostic."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from autonomy.density.autoregressive import MEMORY, AutoregressiveDensity
from autonomy.density.conditional import MixtureConditional
from autonomy.density.mixture import MixtureHead
from autonomy.density.protocols import AnyOrderProtocol, Chain
from autonomy.types import UserError


class MADE(AutoregressiveDensity):
    """One pass gives all conditionals p(x_d | x before d, c) of an order; each row may have its own order.

    Hidden unit k of degree m(k) sees the inputs at the first m(k) places, counted from 0: M^W_kd = 1[m(k) > place(d)],
    M_kj = 1[m(k) >= m(j)] between hidden layers, and M^V_dk = 1[place(d) >= m(k)] at the outputs, with direct
    connections to all earlier inputs. Which inputs are present is an input as well.
    Every training batch draws an order for each row (order-agnostic) and one of `connectivities` assignments of degrees
    to units (connectivity-agnostic); degrees are spread evenly, and 0 is one of them for the context's sake. Each
    conditional is the average over the connectivities, so that samples and densities are of one law; the paper averages
    whole densities instead. `autonomy.density.bounds` averages over orders.
    """

    picks = MixtureConditional.picks()

    def __init__(
        self,
        dim: int,
        context_dim: int = 0,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.02,
        connectivities: int = 4,
    ) -> None:
        super().__init__(dim, context_dim)
        if min(width, depth, connectivities) < 1:
            raise UserError(
                f"width, depth and connectivities must be at least 1, got {width}, {depth}, {connectivities}"
            )
        self.protocol = AnyOrderProtocol(dim)
        self.head = MixtureHead(dim, components, floor)
        self.first = nn.Linear(2 * dim, width)
        self.context = nn.Linear(context_dim, width, bias=False) if context_dim else None
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, self.head.width)
        self.direct = nn.Linear(2 * dim, self.head.width, bias=False)
        nn.init.zeros_(self.direct.weight)
        drawing = torch.Generator().manual_seed(0)
        places = torch.rand(connectivities, depth, width, generator=drawing).argsort(2)
        self.register_buffer("degrees", places % dim)

    degrees: Tensor

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """-log p(x | c) / D along a uniform order for each row."""
        path = torch.rand(x.shape, generator=generator, device=generator.device).argsort(1).to(x.device)
        chosen = torch.randint(len(self.degrees), (), generator=generator, device=generator.device)
        mixtures: MixtureConditional = self.head(self.outputs(x, path, context, self.degrees[int(chosen)]))
        return -mixtures.log_prob(x).mean()

    def along(self, x: Tensor, path: Tensor, context: Tensor) -> MixtureConditional:
        """p(x_d | x before d on the path, c) for all d, batch shape (B, D); `path` (B, D) are the places."""
        mixtures = [self.head(self.outputs(x, path, context, degrees)) for degrees in self.degrees]
        parts = ([getattr(mixture, name) for mixture in mixtures] for name in ("log_weights", "means", "scales"))
        return MixtureConditional(*(torch.cat(part, -1) for part in parts))

    def outputs(self, x: Tensor, path: Tensor, context: Tensor, degrees: Tensor) -> Tensor:
        """The raw outputs (B, D * 3K)."""
        entered = self._enter(x, path, degrees[0])
        hidden = torch.relu(entered if self.context is None else entered + self.context(context))
        for layer, before, after in zip(self.hidden, degrees[:-1], degrees[1:], strict=True):
            weight = cast(nn.Linear, layer).weight * (after[:, None] >= before)
            hidden = torch.relu(nn.functional.linear(hidden, weight, cast(nn.Linear, layer).bias))
        return self._leave(hidden, path, degrees[-1]) + self._across(x, path)

    def _enter(self, x: Tensor, path: Tensor, degrees: Tensor) -> Tensor:
        """The first layer, (B, width): one product for the units of each degree, since rows differ in what they see."""
        lots, parts = self._lots(degrees), []
        for degree, units in enumerate(lots):
            seen = path < degree
            inputs = torch.cat([torch.where(seen, x, 0.0), seen.to(x.dtype)], 1)
            parts.append(nn.functional.linear(inputs, self.first.weight[units], self.first.bias[units]))
        return torch.cat(parts, 1)[:, torch.cat(lots).argsort()]

    def _lots(self, degrees: Tensor) -> list[Tensor]:
        """The units (n,) of each degree 0..D-1."""
        return [(degrees == degree).nonzero().squeeze(1) for degree in range(self.dim)]

    def _leave(self, hidden: Tensor, path: Tensor, degrees: Tensor) -> Tensor:
        """The last layer, (B, D * 3K): the units of each degree reach the outputs at that place and after it."""
        total: Tensor = self.last.bias.expand(len(hidden), -1).unflatten(1, (self.dim, -1))
        for degree, units in enumerate(self._lots(degrees)):
            part = nn.functional.linear(hidden[:, units], self.last.weight[:, units]).view_as(total)
            total = total + part * (path >= degree)[..., None]
        return total.flatten(1)

    def _across(self, x: Tensor, path: Tensor) -> Tensor:
        """The direct connections A, (B, D * 3K): input j reaches output d where it comes before it."""
        earlier = (path[:, None] < path[..., None]).to(x.dtype)  # (B, output, input)
        inputs = torch.cat([earlier * x[:, None], earlier], 2)
        weight = self.direct.weight.view(self.dim, -1, 2 * self.dim)
        across: Tensor = torch.einsum("bdi,dki->bdk", inputs, weight).flatten(1)
        return across

    def step(self, x: Tensor, path: Tensor, dims: Tensor, context: Tensor) -> MixtureConditional:
        known = torch.where(path < path.gather(1, dims[:, None]), x, 0.0)
        mixtures, rows = self.along(known, path, context), torch.arange(len(x), device=x.device)
        parts = (mixtures.log_weights, mixtures.means, mixtures.scales)
        return MixtureConditional(*(part[rows, dims] for part in parts))

    def _chain(self, x: Tensor, chain: Chain, context: Tensor, ranks: Tensor | None = None) -> Tensor:
        """One pass for a whole path."""
        path = self._path(chain.start, chain.added, ranks)
        read = torch.where(chain.start | chain.added, x, 0.0)
        size = max(1, MEMORY // self._step_bytes())
        terms = [
            torch.where(counted, self.along(*row).log_prob(row[0]), 0.0).sum(1)
            for *row, counted in zip(*(part.split(size) for part in (read, path, context, chain.counted)), strict=True)
        ]
        return torch.cat(terms)

    def _step_bytes(self) -> int:
        return (
            self.first.weight.element_size() * len(self.degrees) * (5 * self.first.out_features + 6 * self.head.width)
        )
