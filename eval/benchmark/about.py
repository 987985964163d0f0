"""What a benchmark's report says beside its numbers: how they came about, and what others published."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

_MAC = "Shih, Sadigh, Ermon: Training and Inference on Any-Order Autoregressive Models the Right Way, NeurIPS 2022"
_IBC = "Florence et al.: Implicit Behavioral Cloning, CoRL 2021"
PUBLISHED: tuple[Mapping[str, str], ...] = (
    {"label": "shared autonomy, BC", "value": "1.81 ± 0.08", "source": _MAC},
    {"label": "shared autonomy, MAC", "value": "2.00 ± 0.05", "source": _MAC},
    {"label": "full autonomy, explicit BC", "value": "2.15 ± 0.06", "source": _IBC},
    {"label": "full autonomy, implicit BC", "value": "1.51 ± 0.39", "source": _IBC},
)
"""Rewards on D4RL's kitchen-mixed-v0. What ± means, and how many seeds there were, is not always published."""


@dataclasses.dataclass(frozen=True)
class About:
    """A benchmark in words.

    `dataset` has entries such as source, episodes, transitions and hash; `budgets` gives each assistant's, such as
    parameters, steps, batch_size and seconds. `published` are rows of `label`, `value` and `source`. `calibration`:
    channels -> p-values of the intent score on held-out demonstrations, uniform when it is calibrated. `rows` are those
    on which the verdict rests; by default all that are on no strength curve.
    """

    name: str
    command: str
    versions: Mapping[str, str]
    machine: str
    dataset: Mapping[str, object]
    budgets: Mapping[str, Mapping[str, float | str]]
    training_seeds: Sequence[int]
    episode_seeds: Sequence[int]
    tasks: Sequence[str]
    published: Sequence[Mapping[str, str]] = PUBLISHED
    calibration: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    rows: Sequence[str] = ()
