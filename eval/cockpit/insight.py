"""What the assistant's density knows at a moment: bands of each dimension, how probable the operator is, and itself
alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from autonomy.assistants.density import DensityAssistant
from autonomy.types import Array, Assistant
from eval.cockpit.session import Snapshot

LEVELS = (0.05, 0.5, 0.95)


@dataclasses.dataclass(frozen=True)
class Insight:
    """`bands` (3, D): quantiles of p(a_i | what the operator holds, s); `score`: log p(a_operator | s) in nats, None
    without a density or a held dimension; `alone` (D,): the assistant's action if nobody held anything."""

    bands: Array | None
    score: float | None
    alone: Array


def look(assistant: Assistant, snapshot: Snapshot) -> Insight:
    """Of the state and the command of `snapshot`."""
    empty = np.zeros_like(snapshot.mask)
    nothing: dict[str, Any] = {
        "state": snapshot.state[None],
        "operator_action": np.zeros_like(snapshot.operator)[None],
        "operator_mask": empty[None].astype(np.int8),
    }
    alone = np.nan_to_num(np.clip(assistant.predict(nothing)[0][0], -1, 1))
    if not isinstance(assistant, DensityAssistant):
        return Insight(None, None, alone)
    state, operator, mask = (
        torch.from_numpy(part[None]) for part in (snapshot.state, snapshot.operator, snapshot.mask)
    )
    with torch.no_grad():
        context = assistant.normaliser(state)
        bands = [assistant.density.quantile(level, operator, mask, context)[0].numpy() for level in LEVELS]
    score = float(assistant.intent_score(state, operator, mask)) if snapshot.mask.any() else None
    return Insight(np.stack(bands), score, alone)
