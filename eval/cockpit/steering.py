"""From what a person commands to an action: dimension by dimension, or as a robot's own corner has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from autonomy.types import Array, Mask


class Steering(Protocol):
    """How many numbers a device must give, what they are called, and what they mean for the action."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def action(self, values: Array, simulator: Any, mask: Mask) -> Array:
        """The operator's action (D,) for `values` (N,), of which the dimensions in `mask` (D,) will be used."""
        ...


class Joints:
    """A number for each action dimension; `labels` are their names."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

    def action(self, values: Array, simulator: Any, mask: Mask) -> Array:
        return values
