"""For tests of assistants: a small one of each kind, observations, and a world with two right ways of acting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.bc import BC
from autonomy.assistants.conditional_bc import ConditionalBC
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.diffusion import DiffusionAssistant
from autonomy.assistants.explicit_bc import ExplicitBC
from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.assistants.ibc import IBC
from autonomy.density.conditional import MixtureConditional
from autonomy.density.mac import MAC
from autonomy.density.made import MADE
from autonomy.density.masks import CardinalityMasks, MaskLaw
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import CompletionProtocol, DecompositionProtocol
from autonomy.energy.samplers import DerivativeFree, Langevin
from tests.laws import generator

STATE, DIM, ROWS = 5, 4, 12
Observation = dict[str, NDArray[Any]]
Module = TypeVar("Module", bound=nn.Module)


def randomise(module: Module, scale: float = 0.15) -> Module:
    """Every weight random, so that every input matters, and small, so that few actions are clipped."""
    drawing = generator(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=drawing))
    return module.eval()


def mac(
    select: str = "component",
    sizes: tuple[int, int] = (STATE, DIM),
    masks: MaskLaw | None = None,
    protocol: DecompositionProtocol | None = None,
    regression: float = 50.0,
    seed: int = 0,
    **network: Any,
) -> DensityAssistant:
    """A small MAC for (states, actions) of `sizes`; `network` are further arguments of its `MixtureNetwork`."""
    (states, dim), masks = sizes, masks or CardinalityMasks(sizes[1])
    network = {"width": 16, "depth": 2, "components": 3, "floor": 0.1, **network}
    answering, protocol = MixtureNetwork(dim, states, **network), protocol or CompletionProtocol(masks)
    density = MAC(answering, protocol, regression=regression)
    return DensityAssistant(density, masks, select, candidates=4, seed=seed)


def made(select: str = "mean") -> DensityAssistant:
    density = MADE(DIM, STATE, width=16, depth=2, components=3, floor=0.1)
    return DensityAssistant(density, CardinalityMasks(DIM), select, candidates=4)


SELECTS = (*MixtureConditional.picks(), "best-of-n")


BUILDERS: dict[str, Callable[[], TorchAssistant]] = {
    "bc": lambda: BC(STATE, DIM, width=16, depth=2),
    "conditional-bc": lambda: ConditionalBC(STATE, DIM, CardinalityMasks(DIM), width=16, depth=2),
    "made": made,
    "explicit-bc": lambda: ExplicitBC(STATE, DIM, width=16, depth=2),
    "ibc": lambda: IBC(STATE, DIM, Langevin(samples=8, steps=5), 16, 2, spectral=False),
    "ibc-derivative-free": lambda: IBC(STATE, DIM, DerivativeFree(samples=64), 16, 2, spectral=False),
    "diffusion": lambda: DiffusionAssistant(STATE, DIM, width=16, depth=2),
    "forward-diffusion": lambda: ForwardDiffusion(STATE, DIM, width=16, depth=2),
    **{f"mac-{select}": lambda select=select: mac(select) for select in SELECTS},  # type: ignore[misc]
}


def build(name: str) -> TorchAssistant:
    return randomise(BUILDERS[name]())


def observation(n: int = ROWS, seed: int = 0) -> Observation:
    """Row 0 has an empty mask, row 1 a full one."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, DIM)) < 0.5
    mask[0], mask[1:2] = False, True
    return {
        "state": rng.normal(size=(n, STATE)).astype(np.float32),
        "operator_action": rng.uniform(-1, 1, (n, DIM)).astype(np.float32),
        "operator_mask": mask,
    }


def rows(n: int = 64) -> tuple[Tensor, Tensor]:
    drawing = generator(2)
    return torch.randn(n, STATE, generator=drawing), torch.rand(n, DIM, generator=drawing) * 2 - 1


class World:
    """Two ways of acting in every state: a = +-(tanh of the state) with noise, the sign shared by all dimensions."""

    state_dim, dim = 5, 4

    def sample(self, n: int, drawing: torch.Generator) -> tuple[Tensor, Tensor]:
        states = torch.randn(n, self.state_dim, generator=drawing)
        sign = torch.where(torch.rand(n, 1, generator=drawing) < 0.5, -1.0, 1.0)
        noise = 0.05 * torch.randn(n, self.dim, generator=drawing)
        return states, (sign * (0.5 + 0.3 * torch.tanh(states[:, : self.dim])) + noise).clamp(-1, 1)
