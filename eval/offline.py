"""Judges assistants without a simulator: how well do they fill in what held-out demonstrations did?

    python -m eval.offline run=DIR [peers=[DIR,DIR]] [held=[random-3,[0,1,2]]] [data=npz data.path=FILE]
    python -m eval.offline recordings=door path=FILE

The second one trains assistants first, see configs/recordings. It prints a table and writes it, `offline.csv` (a line
an episode), `dimensions.csv` and `offline.png` to DIR/offline.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from autonomy.assistants.knn import KNNAssistant
from autonomy.batches import Rows
from autonomy.checkpoint import load_assistant
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.data.load import demonstrations_of
from autonomy.facts import take_from_data, take_from_world
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import ActionBox, Channels, Demonstrations, UserError
from eval.benchmark.trainings import TRAININGS, check_lists, plan_trainings, train_all
from eval.figures import filled_errors
from eval.filling import Filled, fill, repeated
from eval.filling_tables import Found, dimensions, frame, table
from eval.intent import judging_episodes, split_episodes
from eval.play import one_thread
from eval.setting import channels_of
from eval.settings import assistant_name, usable_folder

Way = Callable[[Demonstrations, Channels, int], Filled]


def groups_of(cfg: DictConfig) -> list[list[Path]]:
    """Run directories that are judged on the same episodes: `run` and its peers, or what `recordings` trains.

    Raises `UserError` when neither is given, or both.
    """
    if (cfg.run is None) == (not cfg.assistants):
        raise UserError("give run=DIR, or recordings=NAME path=FILE for assistants that are trained first")
    if cfg.run is not None:
        return [[Path(str(run)) for run in (cfg.run, *cfg.peers)]]
    assistants, seeds, train = (_plain(cfg, key) for key in ("assistants", "training_seeds", "train"))
    check_lists(assistants, seeds)
    store = usable_folder(Path(str(cfg.store)))
    trainings = plan_trainings(assistants, seeds, train, store / TRAININGS)
    _channels(cfg, _measured(trainings[0].config.copy()))
    train_all(trainings, cfg.processes)
    return [[one.run for one in trainings if one.seed == seed] for seed in seeds]


def _plain(cfg: DictConfig, key: str) -> Any:
    value = cfg[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_list(value) else value


def _measured(config: DictConfig) -> DictConfig:
    """Return the `env` of a composed configs/train.yaml with the sizes that its world or its recordings decide."""
    take_from_world(config)
    take_from_data(config, demonstrations_of(config))
    env: DictConfig = config.env
    return env


def judged(cfg: DictConfig, runs: Sequence[Path]) -> tuple[Found, Demonstrations]:
    """What all assistants fill in, by a composed configs/offline.yaml, and the episodes. Raises `UserError`."""
    directory = RunDirectory.open(runs[0])
    training, shown = split_episodes(directory)[0], judging_episodes(cfg, directory)
    shown = dataclasses.replace(shown, episodes=shown.episodes[: whole("episodes", cfg.episodes, 1)])
    ways: dict[str, Way] = {name: partial(fill, assistant) for name, assistant in _assistants(cfg, runs).items()}
    if cfg.neighbours:
        ways |= {f"{cfg.neighbours} nearest neighbours": partial(fill, _neighbours(training, cfg.neighbours))}
        ways |= {"the last action again": repeated}
    found: Found = {}
    cases = [(channels, name) for channels in _channels(cfg, directory.config().env) for name in ways]
    for channels, name in tqdm(cases, desc="filling in", unit="case"):
        found.setdefault(str(channels.name), {})[name] = ways[name](shown, channels, cfg.seed)
    return found, shown


def _assistants(cfg: DictConfig, runs: Sequence[Path]) -> dict[str, Any]:
    """Load those of the runs, by name. Raises `UserError` for a peer that may have seen the episodes that judge."""
    found: dict[str, Any] = {}
    for run in runs:
        if cfg.get("data") is None and _split(run) != _split(runs[0]):
            raise UserError(
                f"{run} was trained on other episodes than {runs[0]} (its data, its seed or its share of validation "
                "differ), so it may have seen those that judge; train it alike, or give data=..."
            )
        name = assistant_name(run)
        found[name if name not in found else f"{name}: {run.name}"] = load_assistant(run)
    return found


def _split(run: Path) -> tuple[Any, ...]:
    """What decides which episodes a run has seen."""
    directory = RunDirectory.open(run)
    config, card = directory.config(), directory.read_json(directory.card_file)
    return config.seed, config.training.validation_fraction, card.get("content_hash")


def _neighbours(training: Demonstrations, k: int) -> KNNAssistant:
    rows = Rows.of(training)
    assistant = KNNAssistant(rows.states.shape[1], rows.actions.shape[1], k)
    assistant.fit_rows(rows)
    return assistant


def _channels(cfg: DictConfig, env: DictConfig) -> list[Channels]:
    """What is held, in `env`. Raises `UserError` for channels that it has not."""
    if not OmegaConf.is_list(cfg.held) or not cfg.held:
        raise UserError(f"held must be a list of channels such as [random-3,[0,1,2]], got {cfg.held!r}")
    return [channels_of(one, env) for one in cfg.held]


@main("offline")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/offline.yaml."""
    whole("seed", cfg.seed, 0)
    whole("neighbours", cfg.neighbours, 0)
    home = Path(cfg.run, "offline") if cfg.run else Path("runs", "offline", str(cfg.name))
    folder = usable_folder(Path(cfg.out or home))
    groups = groups_of(cfg)
    with one_thread():
        found, shown = zip(*(judged(cfg, runs) for runs in groups), strict=True)
    text = write(found, shown[0], folder)
    print(text)
    print(f"out: {folder}")


def write(found: Sequence[Found], shown: Demonstrations, folder: Path) -> str:
    """Write what each model filled in into `folder`; returns the table. `shown` says what its dimensions are called."""
    box = shown.box or ActionBox.unit(shown.episodes[0].actions.shape[1])
    episodes = pd.concat([frame(one, model) for model, one in enumerate(found)], ignore_index=True)
    by_dimension = dimensions(found, box, shown.labels)
    text = table(episodes)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "offline.csv", episodes.to_csv(index=False, float_format="%.4g").encode())
    atomic_write(folder / "dimensions.csv", by_dimension.to_csv(index=False, float_format="%.4g").encode())
    atomic_write(folder / "offline.png", filled_errors(by_dimension))
    atomic_write(folder / "offline.md", f"{text}\n".encode())
    return text


if __name__ == "__main__":
    run()
