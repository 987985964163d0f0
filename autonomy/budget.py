"""What a training cost: without it no comparison of assistants is worth much."""

from __future__ import annotations

import dataclasses
from typing import Any

from omegaconf import DictConfig
from torch import nn

from autonomy.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class Budget:
    """What the training of a run cost, over all resumptions together.

    parameters: learned numbers; of a model without any, the numbers that it keeps instead (its buffers).
    steps, batch_size: optimiser steps and rows a step; 0 and None where there is no such loop.
    rows_seen: their product, so repeats count; the rows that were kept where there is no loop.
    seconds: wall time of training and validating, of the work that was saved.
    width, depth: of the network; None without one.
    """

    parameters: int
    steps: int
    batch_size: int | None
    rows_seen: int
    seconds: float
    width: int | None = None
    depth: int | None = None

    @classmethod
    def of(cls, model: nn.Module, rows: int, run: RunDirectory) -> Budget:
        """Of a `run` that is done, its `model` and its number of training rows; `UserError` without metrics."""
        config, metrics = run.config(), run.metrics()
        if not metrics:
            raise run.broken(run.metrics_file, "it does not say how long training took")
        steps, batch = metrics[-1]["step"], config.training.batch_size * config.get("members", 1)
        learned = list(model.parameters()) or model.buffers()
        return cls(
            parameters=sum(tensor.numel() for tensor in learned),
            steps=steps,
            batch_size=batch if steps else None,
            rows_seen=steps * batch or rows,
            seconds=metrics[-1]["seconds"],
            width=inner(config.assistant, "width"),
            depth=inner(config.assistant, "depth"),
        )

    def __str__(self) -> str:
        """One line."""
        shape = ", ".join(f"{key} {getattr(self, key)}" for key in ("width", "depth") if getattr(self, key) is not None)
        loop = f"{self.steps} steps of {self.batch_size} rows" if self.steps else "no optimiser steps"
        size = f"{self.parameters:,} parameters" if self.steps else f"{self.parameters:,} numbers kept"
        return f"{size}{shape and f' ({shape})'}, {loop}, {self.rows_seen:,} rows seen, {self.seconds:.0f} s"


def inner(config: DictConfig, key: str) -> Any:
    """The value of `key` in `config` or, the outer ones first, in what it is made of; None where there is none."""
    layer: list[Any] = [config]
    while layer:
        parts = [part for part in layer if isinstance(part, DictConfig)]
        for part in parts:
            if key in part:
                return part[key]
        layer = [part[name] for part in parts for name in part]
    return None
