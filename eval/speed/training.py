"""An optimiser step of MAC beside the matrix products that it needs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from autonomy.assistants.mac import MACAssistant
from autonomy.density.masks import CardinalityMasks
from autonomy.fit import Loop, Rows, TrainingSettings
from autonomy.run_directory import RunDirectory
from eval.speed.timing import Row, matrix_rate, medians

STATE, DIM = 30, 9
SIZES = {"paper": (2048, 8, 4096), "small": (512, 4, 256)}
"""Width, depth and rows of a batch."""


def measure(batch: int, repeats: int) -> list[Row]:
    """The training loop's own step; `batch` is not read: the sizes are those of configs/model."""
    rows = Rows(torch.randn(20_000, STATE), torch.rand(20_000, DIM) * 2 - 1)
    return [_row(name, *size, rows, repeats) for name, size in SIZES.items()]


def _row(name: str, width: int, depth: int, batch: int, rows: Rows, repeats: int) -> Row:
    torch.manual_seed(0)
    model = MACAssistant(STATE, DIM, CardinalityMasks(DIM), width=width, depth=depth, centred=True).train()
    settings = TrainingSettings(steps=1, batch_size=batch)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(model, rows, rows, settings, RunDirectory(Path(folder)), seed=0)
        (seconds,) = medians([lambda: loop.step(0)], repeats)
    limit = _operations(model, batch) / matrix_rate(batch, width, repeats)
    what = f"a training step, {name}: {width} x {depth}, batch {batch}"
    return Row(what, seconds, None, "-", limit, "matrix products, float32", f"{limit / seconds:.0%} of the limit")


def _operations(model: MACAssistant, batch: int) -> int:
    """Two a weight and row for outputs, two for the weights' gradient, two for the inputs' but the first layer's."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    return batch * (6 * sum(weight.numel() for weight in weights) - 2 * weights[0].numel())
