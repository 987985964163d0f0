"""An optimiser step of MAC beside the matrix products that it needs."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import nn

from autonomy.assistants.density import DensityAssistant
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import CompletionProtocol
from autonomy.fit import Loop, Rows, TrainingSettings
from autonomy.run_directory import RunDirectory
from eval.speed.timing import Row, matrix_rate, medians

STATE, DIM = 30, 9
SIZES = {"paper": (2048, 8, 4096), "small": (512, 4, 256)}
"""Width, depth and rows of a batch."""
PRECISIONS = ("float32", "bfloat16")


def measure(batch: int, repeats: int) -> list[Row]:
    """The training loop's own step in both precisions; `batch` is not read: the sizes are those of configs/model."""
    return [row for name, size in SIZES.items() for row in _rows(name, *size, repeats)]


def _rows(name: str, width: int, depth: int, batch: int, repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        loops = [_loop(width, depth, batch, precision, Path(folder)) for precision in PRECISIONS]
        seconds = medians([partial(loop.step, 0) for loop in loops], repeats)
    rows = []
    for precision, own in zip(PRECISIONS, seconds, strict=True):
        rate = matrix_rate(batch, width, repeats, getattr(torch, precision))
        limit = _operations(loops[0].model, batch) / rate
        what = f"a training step, {name}: {width} x {depth}, batch {batch}, {precision}"
        plain, plain_is = (None, "-") if precision == PRECISIONS[0] else (seconds[0], PRECISIONS[0])
        rows.append(Row(what, own, plain, plain_is, limit, "its matrix products", f"{limit / own:.0%} of the limit"))
    return rows


def _loop(width: int, depth: int, batch: int, precision: str, folder: Path) -> Loop:
    torch.manual_seed(0)
    rows = Rows(torch.randn(20_000, STATE), torch.rand(20_000, DIM) * 2 - 1)
    masks, network = CardinalityMasks(DIM), MixtureNetwork(DIM, STATE, width, depth, centred=True)
    density = MAC(network, CompletionProtocol(masks), regression=50.0)
    model = DensityAssistant(density, masks).train()
    settings = TrainingSettings(steps=1, batch_size=batch, precision=precision)
    return Loop(model, rows, rows, settings, RunDirectory(folder), seed=0)


def _operations(model: nn.Module, batch: int) -> int:
    """Two a weight and row for outputs, two for the weights' gradient, two for the inputs' but the first layer's."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    return batch * (6 * sum(weight.numel() for weight in weights) - 2 * weights[0].numel())
