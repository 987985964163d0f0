"""The MADE assistant: completes the operator's action by a masked autoencoder."""

from __future__ import annotations

from autonomy.assistants.density import DensityAssistant
from autonomy.density.made import MADE
from autonomy.density.masks import CardinalityMasks


class MADEAssistant(DensityAssistant):
    """p(a | s) as a MADE, trained on the likelihood along uniform orders: it needs no law of what operators hold.

    `select`, `candidates` and `seed` are those of `DensityAssistant`, the other parameters those of
    `autonomy.density.made.MADE`.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.1,
        connectivities: int = 4,
        select: str = "mean",
        candidates: int = 16,
        seed: int = 0,
    ) -> None:
        density = MADE(action_dim, state_dim, width, depth, components, floor, connectivities)
        super().__init__(density, CardinalityMasks(action_dim), select, candidates, seed)
