"""Measures, and prints a table of ratios.

python -m eval.speed
python -m eval.speed cockpit
python -m eval.speed rows=[log-prob] repeats=9
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from tqdm import tqdm

from autonomy.checks import choice, whole
from autonomy.cli import main
from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from envs.parallel import available_cores
from eval.settings import usable_folder
from eval.speed import cockpit, decisions, kitchens, log_prob, masks, programs, recording, training
from eval.speed.timing import Row

MEASUREMENTS: dict[str, Callable[[int, int], list[Row]]] = {
    "masks": masks.measure,
    "log-prob": log_prob.measure,
    "kitchens": kitchens.measure,
    "decisions": decisions.measure,
    "training": training.measure,
    "recording": recording.measure,
    "cockpit": cockpit.measure,
    "programs": programs.measure,
}
COLUMNS = ("what", "ours, ms", "plain, ms", "the plain way", "faster", "limit, ms", "the limit", "ours / limit", "note")


def run() -> None:
    """Entry point: see configs/speed.yaml. Bare words are rows."""
    sys.argv[1:] = by_name(sys.argv[1:])
    measure()


def by_name(arguments: Sequence[str]) -> list[str]:
    """Hydra's overrides: words such as `cockpit` become rows=[cockpit]."""
    words = [word for word in arguments if word in MEASUREMENTS]
    others = [argument for argument in arguments if argument not in words]
    return [f"rows=[{','.join(words)}]", *others] if words else others


@main("speed")
def measure(cfg: DictConfig) -> None:
    """Measure what configs/speed.yaml says, print the table and write it to `out`."""
    batch, repeats = whole("batch", cfg.batch, 1), whole("repeats", cfg.repeats, 1)
    if not cfg.rows:
        raise UserError(f"rows must be a list of one or more of {', '.join(MEASUREMENTS)}")
    names = [choice("row", name, tuple(MEASUREMENTS)) for name in cfg.rows]
    out = None if cfg.out is None else usable_folder(Path(cfg.out).parent) / Path(cfg.out).name
    torch.set_num_threads(available_cores() if cfg.threads == "auto" else whole("threads", cfg.threads, 1))
    rows = [row for name in tqdm(names, desc="measuring", unit="row") for row in MEASUREMENTS[name](batch, repeats)]
    text = table(rows, repeats)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(out, text.encode())
    print(text)


def table(rows: list[Row], repeats: int) -> str:
    """The rows as Markdown, with the machine."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    notes = [
        f"Medians of {repeats} rounds in which the ways take turns (one round of the published listing at D = 784).",
        f"{platform.machine()}, {_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}.",
    ]
    return "\n".join([*lines, "", *notes]) + "\n"


def _processor() -> str:
    """Its name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    run()
