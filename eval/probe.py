"""How probable the operator's commands are to an assistant that knows p(a_operator | s), step by step of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IMPROBABLE = 0.05
"""The largest rank of a command that is called improbable: the share of them when the model is right."""
DRAWS = 59
"""Beside which a command is ranked: IMPROBABLE (DRAWS + 1) is a whole number, as a p-value of that size needs."""
EVERY = 10
"""Steps (80 ms each) from one measurement to the next: at every step the draws would make an episode take nearly three
times as long, and neighbouring commands say the same."""


@runtime_checkable
class KnowsIntent(Protocol):
    """An assistant with a density of what operators do; see `autonomy.assistants.density.DensityAssistant`."""

    def intent_score(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """log p(a_operator | s) in nats, (B,)."""
        ...

    def intent_rank(
        self, states: Tensor, operator: Tensor, mask: Tensor, n: int, generator: torch.Generator | None
    ) -> Tensor:
        """Its place among `n` draws, (B,) in (0, 1]."""
        ...


class Intent(NamedTuple):
    """Of one command: `score`, log p(command | state) in nats a held dimension, and its `rank`, low when improbable."""

    score: float
    rank: float


class Probe:
    """Measures every `EVERY`-th step of the episodes of one batch, from the first one on.

    Its draws come from a generator of its own, made of `entropy`, so that the assistant's are what they are without it.
    """

    def __init__(self, assistant: Any, entropy: Sequence[int]) -> None:
        self._assistant = assistant if isinstance(assistant, KnowsIntent) else None
        seed = np.random.SeedSequence(list(entropy)).generate_state(1, np.uint64)[0]
        self._generator = torch.Generator().manual_seed(int(seed) >> 1)
        self._step = -1

    def measure(self, observation: Mapping[str, NDArray[Any]], rows: Sequence[int]) -> dict[int, Intent]:
        """`{row: its intent}` of those `rows` of this step's observation in which something is held."""
        self._step += 1
        held = [row for row in rows if observation["operator_mask"][row].any()]
        if self._assistant is None or self._step % EVERY or not held:
            return {}
        states, operator, mask = (
            torch.as_tensor(observation[key][held]) for key in ("state", "operator_action", "operator_mask")
        )
        mask = mask.bool()
        scores = self._assistant.intent_score(states, operator, mask) / mask.sum(1)
        ranks = self._assistant.intent_rank(states, operator, mask, n=DRAWS, generator=self._generator)
        return {row: Intent(*pair) for row, *pair in zip(held, scores.tolist(), ranks.tolist(), strict=True)}
