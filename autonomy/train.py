"""`python -m autonomy.train`: demonstrations -> assistant -> short evaluation -> report, all in one run directory."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from autonomy.checks import switch, whole
from autonomy.cli import main
from autonomy.facts import is_playable, take_from_data, take_from_world
from autonomy.run_directory import RunDirectory
from autonomy.types import Demonstrations, UserError

if TYPE_CHECKING:  # the heavy libraries are imported where they are used, so that --help is quick
    import torch

    from autonomy.assistants.base import TorchAssistant
    from autonomy.fit import Rows

# What may differ between the run that is resumed and the command line that resumes it.
_FREE = ("resume", "device", "threads", "evaluation")


@main("train")
def run(cfg: DictConfig) -> None:
    """The program. The last line that it prints is `run: DIR`."""
    directory = train(cfg)
    config = directory.config()
    if config.evaluation.episodes and is_playable(config.env):
        from eval.report import write_report
        from eval.short import short_evaluation

        short_evaluation(directory.path)
        write_report(directory.path)
    print(f"run: {directory.path}")


def train(cfg: DictConfig) -> RunDirectory:
    """Train as `cfg` (configs/train.yaml) says, in a new run directory or in the one to resume; returns it.

    Raises `UserError` for bad settings, data or run directories, before anything is written.
    """
    from hydra.utils import instantiate

    from autonomy.budget import Budget
    from autonomy.data.card import Card
    from autonomy.data.load import demonstrations_of
    from autonomy.fit import fit
    from autonomy.intent.assistant import IntentAssistant

    config = _resumed_config(cfg) if cfg.resume else cfg
    _check_numbers(config)
    device = _device(config.device)
    settings = instantiate(config.training)
    if not cfg.resume:
        RunDirectory(_path(config)).require_unused()
    take_from_world(config)
    demonstrations = demonstrations_of(config)
    take_from_data(config, demonstrations)
    training, validation = split_rows(demonstrations, config, device)
    assistant = _assistant(config, training).to(device)
    _warn_untrained(assistant)
    directory = RunDirectory.create(_path(config), _kept(config)) if config is cfg else RunDirectory.open(cfg.resume)
    _record_card(directory, Card.of(demonstrations).as_dict())
    directory.write_config(_kept(config))  # a resumed run may have another device or evaluation
    print(f"training in {directory.path}; after an interruption go on with resume={directory.path}", flush=True)
    if isinstance(assistant, IntentAssistant):
        folder = RunDirectory(directory.path / "persistence")
        assistant.persistence.learn(training, validation, folder, config.seed)
    fit(assistant, training, validation, settings, directory, config.seed)
    _calibrate(assistant, training, validation, directory, config.seed)
    budget = Budget.of(assistant, len(training.states), directory)
    directory.write_json(directory.budget_file, dataclasses.asdict(budget))
    print(f"budget: {budget}", flush=True)
    return directory


def _path(config: DictConfig) -> Path:
    if config.run is None:
        config.run = f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{config.name}-seed{config.seed}"
    return Path(str(config.run))


def _kept(config: DictConfig) -> DictConfig:
    """What config.yaml holds: everything but where the run lies, so that a run directory can be moved."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("run", "resume")])


def _resumed_config(cfg: DictConfig) -> DictConfig:
    """The configuration of the run to resume, with the command line's free keys.

    Raises `UserError` when the command line asks for anything else that differs.
    """
    if cfg.run is not None:
        raise UserError("give run=... for a new run or resume=... to go on with an old one, not both")
    directory = RunDirectory.open(cfg.resume)
    config = directory.config()
    missing = [
        key for key in ("data", "model", "training", "evaluation", "seed", "device", "threads") if key not in config
    ]
    if missing:
        raise directory.broken(directory.config_file, f"it lacks {', '.join(missing)}")
    for override in _overrides():
        key = override.partition("=")[0].lstrip("+~").partition("@")[0]
        asked, saved = OmegaConf.select(cfg, key), OmegaConf.select(config, key)
        if key.partition(".")[0] in _FREE:
            OmegaConf.update(config, key, asked, force_add=True)
        elif key == "experiment" or not _agrees(asked, saved):
            raise UserError(f"resume={cfg.resume} goes on with its own configuration; leave {override} out")
    return config


def _agrees(asked: Any, saved: Any) -> bool:
    """Whether a run was made with what is asked for; in a group, what the program fills in may be left open."""
    if not isinstance(asked, DictConfig):
        return bool(asked == saved)
    return isinstance(saved, DictConfig) and all(
        asked[key] is None or _agrees(asked[key], saved.get(key)) for key in asked
    )


def _overrides() -> list[str]:
    """The command line's overrides; none when the configuration was not composed by a program."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _check_numbers(config: DictConfig) -> None:
    """Raise `UserError` for numbers out of range, and set the number of torch's threads."""
    import torch

    whole("seed", config.seed, 0)
    for name in ("width", "depth", "components"):
        whole(f"model.{name}", config.model.get(name, 1), 1)
    if not isinstance(config.training, DictConfig):
        raise UserError(
            f"training={config.training} is no group to choose from; set its keys, as in training.steps=100"
        )
    switch("evaluation.video", config.evaluation.video)
    whole("evaluation.episodes", config.evaluation.episodes, 0)
    whole("evaluation.seed", config.evaluation.seed, 0)
    if config.evaluation.processes is not None:
        whole("evaluation.processes", config.evaluation.processes, 1)
    if config.threads != "auto":
        torch.set_num_threads(whole("threads", config.threads, 1))


def _device(name: Any) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N`. Raises `UserError` for anything else, and for a GPU that is not there."""
    import torch

    present = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name == "auto":
        name = "cuda" if present else "cpu"
    valid = ["auto", "cpu", *(["cuda"] if present else []), *present]
    if name not in valid:
        raise UserError(f"device={name} is not on this machine; the valid ones are {', '.join(valid)}")
    return torch.device(name)


def split_rows(demonstrations: Demonstrations, config: DictConfig, device: torch.device) -> tuple[Rows, Rows]:
    """Training and validation rows on `device`. Raises `UserError` when their widths are not the environment's."""
    import numpy as np

    from autonomy.batches import Rows
    from autonomy.data.split import split

    for part, episode in [(part, demonstrations.episodes[0]) for part in ("states", "actions")]:
        got, wanted = (
            getattr(episode, part).shape[1],
            config.env[{"states": "state_dim", "actions": "action_dim"}[part]],
        )
        if got != wanted:
            raise UserError(f"the data's {part} have width {got}, but env={config.env.name} has {wanted}")
    parts = split(demonstrations, config.training.validation_fraction, np.random.default_rng(config.seed))
    first, second = (Rows.of(part, device) for part in parts)
    return first, second


def _assistant(config: DictConfig, training: Rows) -> TorchAssistant:
    """A new assistant, initialised by the seed, with the normaliser of the training rows."""
    import torch

    from autonomy.assistants.build import build_assistant

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        assistant = build_assistant(config)
    assistant.fit_rows(training)
    return assistant


def _calibrate(assistant: TorchAssistant, training: Rows, held_out: Rows, directory: RunDirectory, seed: int) -> None:
    """What is fitted to held-out rows when the weights stand, saved beside them."""
    import torch

    from autonomy.training_state import read_tensors, snapshot, write_tensors

    assistant.calibrate(training, held_out, torch.Generator().manual_seed(seed))
    write_tensors(directory.model_file, snapshot(assistant), read_tensors(directory, directory.model_file)[1])


def _warn_untrained(assistant: TorchAssistant) -> None:
    """One sentence on stderr when completing what operators hold asks about sets that training never visits."""
    coverage = assistant.coverage()
    if coverage is not None and coverage.untrained:
        print(f"warning: {coverage}", file=sys.stderr)


def _record_card(directory: RunDirectory, card: dict[str, Any]) -> None:
    """Write the data card, or check that a resumed run has the data that it began with. Raises `UserError` if not."""
    if not directory.card_file.is_file():
        directory.write_json(directory.card_file, card)
    elif directory.read_json(directory.card_file).get("content_hash") != card["content_hash"]:
        raise UserError(
            f"the data changed since {directory.path} began; resume it with the same data, or start a new run"
        )


if __name__ == "__main__":
    run()
