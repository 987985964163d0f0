"""The one training loop: any module that has a loss, see `autonomy.objective`."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from autonomy.batches import Batches, Rows
from autonomy.checks import choice, number, whole
from autonomy.data.normaliser import Normaliser
from autonomy.objective import loss_of, mean_loss, members_of
from autonomy.precision import PRECISIONS, is_bfloat16
from autonomy.run_directory import RunDirectory, refuse_full_disk
from autonomy.schedules import Constant, Schedule
from autonomy.training_state import TrainingState, snapshot, write_tensors
from autonomy.types import UserError

__all__ = ["Loop", "Rows", "TrainingSettings", "fit"]


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How to train. Raises `UserError` for a value out of its range.

    steps: optimiser steps; or `epochs`, passes over the rows in expectation (batches are drawn with replacement).
    schedule: the factor on `learning_rate`, see `autonomy.schedules`. clip: largest gradient norm, None for no limit.
    ema: decay of an exponential moving average of the weights; when given, the averaged weights are the ones that are
        validated, saved and used.
    validate_every: steps between two validations; each is logged and saves the training state.
    keep: which weights become model.safetensors: of the `best` validation loss or of the `last` step.
    precision: float32, or bfloat16 for the matrix products of the training loss alone (autocast); auto: bfloat16 where
        the machine multiplies in it.
    state_noise: standard deviation of Gaussian noise on training states, in the normaliser's units.
    validation_fraction: share of the episodes that is held out.
    """

    steps: int | None = None
    epochs: int | None = None
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = dataclasses.field(default_factory=Constant)
    clip: float | None = 1.0
    ema: float | None = None
    validate_every: int = 250
    keep: str = "best"
    precision: str = "float32"
    state_noise: float = 0.0
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise UserError("training needs exactly one of training.steps and training.epochs, the other one null")
        for name in ("steps", "epochs", "batch_size", "validate_every"):
            if getattr(self, name) is not None:
                whole(f"training.{name}", getattr(self, name), 1)
        number("training.learning_rate", self.learning_rate, 0, above=True)
        number("training.weight_decay", self.weight_decay, 0)
        number("training.state_noise", self.state_noise, 0)
        number("training.validation_fraction", self.validation_fraction, 0, 0.9, above=True)
        if self.clip is not None:
            number("training.clip", self.clip, 0, above=True)
        if self.ema is not None:
            number("training.ema", self.ema, 0, 1 - 1e-9)
        choice("training.keep", self.keep, ("best", "last"))
        choice("training.precision", self.precision, PRECISIONS)

    def total_steps(self, rows: int) -> int:
        """The number of optimiser steps on `rows` training rows."""
        if self.steps is not None:
            return self.steps
        return math.ceil(cast(int, self.epochs) * rows / self.batch_size)


def fit(
    model: nn.Module, train: Rows, validation: Rows, settings: TrainingSettings, run: RunDirectory, seed: int = 0
) -> nn.Module:
    """Train `model` in place, or go on where `run` stopped, and return it with the weights of model.safetensors.

    On a CPU the result is a function of (model, rows, settings, seed) alone, bit for bit, however often the process was
    killed in between (with the same number of threads). A model without parameters to train is only validated and
    saved, as step 0. Raises `UserError` when the loss or the gradient is not finite or the disk is full; the last
    checkpoint stays.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return _keep(model, validation, run)
    device = train.states.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # for dropout, inside the fork only
        Loop(model, train, validation, settings, run, seed).run()
    return model


def _keep(model: nn.Module, validation: Rows, run: RunDirectory) -> nn.Module:
    started = time.monotonic()
    loss = mean_loss(model, validation)
    run.truncate_metrics(-1)
    run.append_metrics({"step": 0, "validation_loss": loss, "seconds": round(time.monotonic() - started, 3)})
    write_tensors(run.model_file, snapshot(model), {"step": 0, "validation_loss": loss})
    return model.eval()


class Loop:
    """One call of `fit`."""

    def __init__(
        self, model: nn.Module, train: Rows, validation: Rows, settings: TrainingSettings, run: RunDirectory, seed: int
    ) -> None:
        self.model, self.rows, self.validation = model, train, validation
        self.settings, self.run_directory = settings, run
        self.steps = settings.total_steps(len(train.states))
        self.batches, self.batch_rows = Batches.of(model, train), settings.batch_size * members_of(model)
        self.spread = Normaliser.fit(train.states).std
        self.bfloat16 = is_bfloat16(settings.precision, train.states.device)
        modules = {"model": model}
        if settings.ema is not None:
            modules["average"] = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
        self.generator = torch.Generator().manual_seed(seed)
        # Not fused: that variant may round differently from machine to machine.
        optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self.state = TrainingState(modules, optimiser, {"batches": self.generator})

    @property
    def evaluated(self) -> nn.Module:
        """The module whose weights are validated and saved."""
        average = self.state.modules.get("average")
        return self.model if average is None else cast(nn.Module, average.module)

    def run(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.state.restore(self.run_directory)
        progress = self.state.progress
        self.run_directory.truncate_metrics(progress.step)
        folder = self.run_directory.path / "tensorboard"
        bar = tqdm(total=self.steps, initial=progress.step, desc="training", unit="step", disable=None)
        try:
            with bar, SummaryWriter(str(folder), purge_step=progress.step + 1) as self.writer:
                while progress.step < self.steps:
                    self._interval(bar)
        except OSError as error:  # of TensorBoard's files
            refuse_full_disk(error, folder)
        self._finish()

    def _interval(self, bar: tqdm[None]) -> None:
        """Train up to the next validation, then validate, log and save."""
        progress, started, losses = self.state.progress, time.monotonic(), []
        self.model.train()
        until = min(self.steps, (progress.step // self.settings.validate_every + 1) * self.settings.validate_every)
        while progress.step < until:
            losses.append(self.step(progress.step))
            progress.step += 1
            bar.update()
        validation_loss = mean_loss(self.evaluated, self.validation)
        if not math.isfinite(validation_loss):
            raise self._diverged(progress.step, validation_loss)
        bar.set_postfix(loss=f"{losses[-1]:.4f}", validation=f"{validation_loss:.4f}")
        progress.seconds += time.monotonic() - started
        self._log(sum(losses) / len(losses), validation_loss)
        self._save(validation_loss)

    def step(self, step: int) -> float:
        """One optimiser step; the loss before it."""
        optimiser = self.state.optimiser
        for group in optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * self.settings.schedule(step, self.steps)
        rows = self._batch()
        with torch.autocast(rows.states.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = loss_of(self.model, rows, self.generator)
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip or math.inf)
        value = loss.item()
        if not math.isfinite(value) or not math.isfinite(norm.item()):
            raise self._diverged(step, value)
        optimiser.step()
        if "average" in self.state.modules:
            cast(AveragedModel, self.state.modules["average"]).update_parameters(self.model)
        return value

    def _batch(self) -> Rows:
        """Rows or windows drawn with replacement, by the CPU generator, with noise on the states when asked for."""
        index = self.batches.draw(self.batch_rows, self.generator)
        batch = self.rows.at(index.to(self.rows.states.device))
        if not self.settings.state_noise:
            return batch
        noise = torch.randn(batch.states.shape, generator=self.generator).to(batch.states.device)
        return batch._replace(states=batch.states + self.settings.state_noise * self.spread * noise)

    def _log(self, train_loss: float, validation_loss: float) -> None:
        progress = self.state.progress
        rate = self.state.optimiser.param_groups[0]["lr"]
        scalars = {"train_loss": train_loss, "validation_loss": validation_loss, "learning_rate": rate}
        self.run_directory.append_metrics({"step": progress.step, **scalars, "seconds": round(progress.seconds, 3)})
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, progress.step)

    def _save(self, validation_loss: float) -> None:
        state = self.state
        best = state.progress.best_loss
        if self.settings.keep == "last" or best is None or validation_loss < best:
            state.progress.best_loss, state.progress.best_step = validation_loss, state.progress.step
            state.best = snapshot(self.evaluated)
        state.save(self.run_directory)
        self._write_model()

    def _write_model(self) -> None:
        progress = self.state.progress
        note = {"step": progress.best_step, "validation_loss": progress.best_loss}
        write_tensors(self.run_directory.model_file, self.state.best, note)

    def _finish(self) -> None:
        """The kept weights, in the model and in model.safetensors (a kill may have come between the two files)."""
        self._write_model()
        self.model.load_state_dict(self.state.best)
        self.model.eval()

    def _diverged(self, step: int, loss: float) -> UserError:
        run = self.run_directory
        saved = f"the checkpoint in {run.path} is intact" if run.model_file.exists() else "nothing has been saved yet"
        return UserError(
            f"training diverged at step {step}: the loss is {loss:g} or its gradient is not finite, {saved};"
            " try a smaller training.learning_rate or training.clip"
        )
