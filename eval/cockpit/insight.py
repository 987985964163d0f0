"""What the assistant's density knows at a moment: bands of each dimension, how probable the operator is, and itself
alone."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonomy.assistants.density import DensityAssistant
from autonomy.types import Array, Assistant
from eval.cockpit.session import Snapshot

LEVELS = (0.05, 0.5, 0.95)


@dataclasses.dataclass(frozen=True)
class Insight:
    """`bands` (3, D): quantiles of p(a_i | what the operator holds, s), None without a density; `score`: log
    p(a_operator | s) in nats, None without a density or a held dimension; `alone` (D,): the assistant's action if
    nobody held anything.

    Of an assistant with a belief the bands are given the task that it commits to, the score given the likeliest one,
    `task`.
    """

    bands: Array | None
    score: float | None
    alone: Array
    task: str | None = None


class Onlooker:
    """Looks into the assistants of snapshots, and advances neither their memory nor their draws."""

    def __init__(self) -> None:
        self._of: Assistant | None = None
        self._twin: Any = None

    def look(self, snapshot: Snapshot) -> Insight:
        """Of the state and the command of `snapshot`."""
        if snapshot.helper is not self._of:
            self._of, self._twin = snapshot.helper, twin(snapshot.helper)
        return look(self._twin, snapshot)


def twin(assistant: Assistant) -> Assistant:
    """A copy with generators of its own; weights are shared."""
    if not isinstance(assistant, torch.nn.Module):
        return copy.deepcopy(assistant)
    shared = {id(part): part for part in (*assistant.parameters(), *assistant.buffers())}
    return copy.deepcopy(assistant, shared)


@torch.no_grad()
def look(assistant: Any, snapshot: Snapshot) -> Insight:
    """The same by `assistant`, whose draws it uses."""
    alone, belief = _alone(assistant, snapshot), snapshot.belief
    state, operator, mask = (
        torch.from_numpy(part[None]) for part in (snapshot.state, snapshot.operator, snapshot.mask)
    )
    if belief is None:
        score = _score(assistant, state, operator, mask) if isinstance(assistant, DensityAssistant) else None
        return Insight(_bands(assistant, state, operator, mask), score, alone)
    score = _score(assistant, state, operator, mask, torch.tensor([belief.likeliest]))
    inputs = assistant.inputs(state, torch.tensor([belief.committed]))
    return Insight(_bands(assistant.policy, inputs, operator, mask), score, alone, belief.title(belief.likeliest))


def _alone(assistant: Assistant, snapshot: Snapshot) -> Array:
    """What it would have done at this moment if nobody had held anything: of what it had remembered and was told."""
    seen: dict[str, NDArray[Any]] = {
        "state": snapshot.state[None],
        "operator_action": np.zeros_like(snapshot.operator)[None],
        "operator_mask": np.zeros_like(snapshot.mask)[None].astype(np.int8),
        **({} if snapshot.belief is None else snapshot.belief.observed()),
    }
    action, _ = assistant.predict(seen, snapshot.memory, np.array([snapshot.step == 1]))
    alone: Array = np.nan_to_num(np.clip(action[0], -1, 1))
    return alone


def _bands(assistant: Any, inputs: Tensor, operator: Tensor, mask: Tensor) -> Array | None:
    if not isinstance(assistant, DensityAssistant):
        return None
    context = assistant.normaliser(inputs)
    bands = [assistant.density.quantile(level, operator, mask, context)[0].numpy() for level in LEVELS]
    return np.stack(bands)


def _score(assistant: Any, state: Tensor, operator: Tensor, mask: Tensor, *intents: Tensor) -> float | None:
    return float(assistant.intent_score(state, operator, mask, *intents)) if bool(mask.any()) else None
