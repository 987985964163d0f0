"""Is p(a_operator | s) calibrated? Ranks of held-out demonstrated actions, as if an operator had held channels of them.

    python -m eval.intent run=DIR [held=[shoulder,random-3]] [rows=500] [draws=99]

Prints a table and writes `intent.csv` (channels, rank) and `intent.png`, the reliability diagram, to DIR/intent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from autonomy.batches import halves
from autonomy.checkpoint import load_assistant
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.data.card import Card
from autonomy.data.load import demonstrations_of, load
from autonomy.data.split import split
from autonomy.fit import Rows
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.train import split_rows
from autonomy.types import Demonstrations, UserError
from eval.figures import reliability
from eval.probe import KnowsIntent
from eval.setting import channels_of
from eval.settings import usable_folder, with_env

Ranks = dict[str, NDArray[np.float64]]
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5)
"""The shares that are printed, and the range that `distance` looks at: the score is for telling what is improbable."""
ROWS = 64
"""Ranked at a time: with 99 draws some tens of megabytes of activations."""


def calibration(
    run: str | Path, channels: Sequence[Any], rows: int, generator: torch.Generator, draws: int = 99
) -> Ranks:
    """`{name of the channels: ranks (N,)}` of at most `rows` actions that the training of `run` has not seen.

    The rows are drawn from the episodes that training held out, the same ones for every channels, but not from those
    that the score is calibrated by (`autonomy.density.conformal.Conformal`). `draws` are for runs without calibration.
    Raises `UserError` for an assistant without such a density, other data than the run's, and unknown channels.
    """
    directory, assistant = RunDirectory.open(run), load_assistant(run)
    if not isinstance(assistant, KnowsIntent):
        raise UserError(
            f"the assistant of {run} does not know p(a_operator | s); give the run of one that does, as mac"
        )
    env = directory.config().env
    held = [channels_of(one, env) for one in channels]
    calibrating, others = halves(held_out(directory))
    chosen = some_of(others if len(others.states) else calibrating, rows, generator)
    states, actions = chosen.states, chosen.actions
    seed = int(torch.randint(2**62, (), generator=generator))
    masks = [torch.from_numpy(one.sample(len(states), np.random.default_rng(seed))) for one in held]
    found: Ranks = {}
    for one, mask in zip(tqdm(held, desc="ranks", unit="channels"), masks, strict=True):
        parts = zip(states.split(ROWS), actions.split(ROWS), mask.split(ROWS), strict=True)
        ranks = [assistant.intent_rank(*part, n=draws, generator=generator) for part in parts]
        found[one.name] = torch.cat(ranks).numpy()
    return found


def held_out(directory: RunDirectory) -> Rows:
    """The rows that training held out. Raises `UserError` when the data are no longer what the run was trained on."""
    config = directory.config()
    return split_rows(_training_data(directory), config, torch.device("cpu"))[1]


def held_out_episodes(directory: RunDirectory) -> Demonstrations:
    """The episodes of `held_out`, which raises the same errors."""
    return split_episodes(directory)[1]


def judging_episodes(cfg: DictConfig, directory: RunDirectory) -> Demonstrations:
    """Return the episodes that judge a run: those of `cfg.data`, scaled as the run's own, or what training held out.

    Raises `UserError` where `held_out` does, or where the other data do not fit.
    """
    held_out = held_out_episodes(directory)
    if cfg.get("data") is None:
        return held_out
    return load(instantiate(with_env(cfg, directory.config().env)["data"]), held_out.box)


def split_episodes(directory: RunDirectory) -> tuple[Demonstrations, Demonstrations]:
    """The episodes that training saw, and those of `held_out`, which raises the same errors."""
    config, demonstrations = directory.config(), _training_data(directory)
    generator = np.random.default_rng(config.seed)
    return split(demonstrations, config.training.validation_fraction, generator)


def _training_data(directory: RunDirectory) -> Demonstrations:
    config = directory.config()
    if missing := [key for key in ("data", "training", "seed") if key not in config]:
        raise directory.broken(directory.config_file, f"it lacks {', '.join(missing)}")
    demonstrations = demonstrations_of(config)
    if directory.read_json(directory.card_file).get("content_hash") != Card.of(demonstrations).content_hash:
        raise UserError(f"the data changed since {directory.path} was trained, so what it held out is not known")
    return demonstrations


def some_of(rows: Rows, n: int, generator: torch.Generator) -> Rows:
    """At most `n` of the rows, drawn without replacement."""
    chosen = torch.randperm(len(rows.states), generator=generator)[:n]
    return Rows(rows.states[chosen], rows.actions[chosen])


def frame(ranks: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """A row a rank: `channels` and `rank`."""
    return pd.DataFrame(
        [(name, rank) for name, values in ranks.items() for rank in values], columns=["channels", "rank"]
    )


def distance(ranks: NDArray[np.float64], draws: int) -> float:
    """The largest |share of `ranks` <= u - u| over the values u = k / (draws + 1) of a rank that lie in `LEVELS`."""
    values = np.arange(1, draws + 2) / (draws + 1)
    values = values[(values >= LEVELS[0]) & (values <= LEVELS[-1])]
    gaps = np.abs((ranks[:, None] <= values + 1e-6).mean(0) - values)
    return float(gaps.max(initial=0.0))


def table(ranks: Mapping[str, NDArray[np.float64]], draws: int) -> str:
    """A line for each channels, with what the numbers mean."""
    lines = [_line("channels", "n", [f"<= {level}" for level in LEVELS], "most off")]
    for name, values in ranks.items():
        shares = [f"{(values <= level).mean():.3f}" for level in LEVELS]
        lines.append(_line(name, str(len(values)), shares, f"{distance(values, draws):.3f}"))
    notes = [
        "Of n held-out demonstrated actions the share that ranks as improbable as that, or more so. Calibrated: the",
        "same number; more: the model is too sure of itself, less: too wide. Most off: the largest difference at any",
        f"level from {LEVELS[0]} to {LEVELS[-1]}.",
    ]
    return "\n".join([*lines, "", *notes])


def _line(name: str, n: str, shares: Sequence[str], most: str) -> str:
    return f"{name:<10}{n:>6}{''.join(f'{share:>9}' for share in shares)}{most:>11}"


@main("intent")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/intent.yaml."""
    rows, draws = whole("rows", cfg.rows, 1), whole("draws", cfg.draws, 1)
    generator = torch.Generator().manual_seed(whole("seed", cfg.seed, 0))
    if not OmegaConf.is_list(cfg.held) or not cfg.held:
        raise UserError(f"held must be a list of channels such as [base,random-3], got {cfg.held!r}")
    folder = usable_folder(Path(cfg.out or Path(cfg.run, "intent")))
    ranks = calibration(cfg.run, list(cfg.held), rows, generator, draws)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "intent.csv", frame(ranks).to_csv(index=False).encode())
    atomic_write(folder / "intent.png", reliability(ranks))
    print(table(ranks, draws))
    print(f"out: {folder}")


if __name__ == "__main__":
    run()
