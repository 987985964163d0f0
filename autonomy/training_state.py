"""What training needs to go on after a kill, as one safetensors file: a single rename makes all of it valid."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer

from autonomy.legacy import modern_names
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import UserError

Tensors = dict[str, Tensor]


@dataclasses.dataclass
class Progress:
    """How far training is: finished steps, seconds so far, and the best validation loss with its step."""

    step: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int = 0


def snapshot(module: nn.Module) -> Tensors:
    """A copy on the CPU of a module's parameters and buffers."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in module.state_dict().items()}


def write_tensors(file: Path, tensors: Tensors, note: Mapping[str, Any]) -> None:
    """Write `tensors` and a JSON `note` as safetensors, atomically. Raises `UserError` when the disk is full.

    The note is one metadata entry, since the order of several is not fixed and would make equal contents differ.
    """
    atomic_write(file, safetensors.torch.save(tensors, {"note": json.dumps(dict(note))}))


def read_tensors(run: RunDirectory, file: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of `file`, by the names of today, and its note. Raises `UserError` when it cannot be read."""
    run.require(file)
    try:
        with safetensors.safe_open(file, framework="pt") as content:
            note = json.loads((content.metadata() or {}).get("note", "{}"))
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (not a mapping)
            return modern_names(tensors), note
    except (SafetensorError, OSError, ValueError) as error:
        raise run.broken(file, error) from error


def _prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


@dataclasses.dataclass
class TrainingState:
    """Modules, optimiser, generators and progress; `best` holds the weights of the best validation loss."""

    modules: dict[str, nn.Module]
    optimiser: Optimizer
    generators: dict[str, torch.Generator]
    best: Tensors = dataclasses.field(default_factory=dict)
    progress: Progress = dataclasses.field(default_factory=Progress)

    def save(self, run: RunDirectory) -> None:
        """Write training.safetensors, atomically. Raises `UserError` when the disk is full: the old file stays."""
        tensors = _prefixed("best", self.best)
        for name, module in self.modules.items():
            tensors |= _prefixed(f"module/{name}", snapshot(module))
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= _prefixed(f"optimiser/{index}", {name: slot.cpu() for name, slot in slots.items()})
        tensors |= _prefixed("generator", {name: source.get_state() for name, source in self.generators.items()})
        tensors["generator/global"] = torch.get_rng_state()  # dropout draws from it
        write_tensors(run.training_file, tensors, dataclasses.asdict(self.progress))

    def restore(self, run: RunDirectory) -> None:
        """Take over what `save` wrote; without a file nothing changes. Raises `UserError` when it does not fit."""
        if not run.training_file.exists():
            return
        tensors, note = read_tensors(run, run.training_file)
        try:
            for name, module in self.modules.items():
                module.load_state_dict(_under(f"module/{name}", tensors))
            self._restore_optimiser(_under("optimiser", tensors))
            for name, source in self.generators.items():
                source.set_state(tensors[f"generator/{name}"])
            torch.set_rng_state(tensors["generator/global"])
            self.progress = Progress(**note)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise run.broken(run.training_file, error) from error
        self.best = _under("best", tensors)

    def _restore_optimiser(self, tensors: Tensors) -> None:
        slots: dict[int, Tensors] = {}
        for name, tensor in tensors.items():
            index, _, slot = name.partition("/")
            slots.setdefault(int(index), {})[slot] = tensor
        self.optimiser.load_state_dict({"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]})


def load_weights(module: nn.Module, run: RunDirectory) -> None:
    """Put the weights of model.safetensors into `module`. Raises `UserError` when they are missing or do not fit."""
    tensors, _ = read_tensors(run, run.model_file)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{run.model_file} does not fit the model of {run.config_file}: {_first_reason(error)}"
        ) from error


def _first_reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else lines[0]
