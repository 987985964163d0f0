"""The MAC assistant: completes the operator's action by sequential conditionals."""

from __future__ import annotations

from autonomy.assistants.density import DensityAssistant
from autonomy.density.mac import MAC
from autonomy.density.masks import MaskLaw
from autonomy.density.protocols import CompletionProtocol, DecompositionProtocol


class MACAssistant(DensityAssistant):
    """p(a | s) as a MAC; `masks` is the law of what operators hold, `select` how the missing dimensions are chosen.

    `protocol` lays the training nodes; by default the completion of `masks`, which is what is walked in shared control.
    `select`, `candidates` and `seed` are those of `DensityAssistant`, the other parameters those of
    `autonomy.density.mac.MAC`.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        masks: MaskLaw,
        protocol: DecompositionProtocol | None = None,
        width: int = 512,
        depth: int = 4,
        components: int = 20,
        floor: float = 0.1,
        edge: float = 0.5,
        evidence_noise: float = 0.0,
        regression: float = 50.0,
        dropout: float = 0.0,
        centred: bool = False,
        select: str = "mean",
        candidates: int = 16,
        seed: int = 0,
    ) -> None:
        density = MAC(
            action_dim,
            state_dim,
            protocol or CompletionProtocol(masks),
            width,
            depth,
            components,
            floor,
            edge,
            evidence_noise,
            regression,
            dropout,
            centred,
        )
        super().__init__(density, masks, select, candidates, seed)
