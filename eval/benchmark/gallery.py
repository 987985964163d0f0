"""Where the first assistant failed worst: film strips of its episodes, played again as they were in the benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from autonomy.run_directory import atomic_write
from eval.benchmark.cells import Cell
from eval.rollout import BATCH
from eval.strip import draw, filmed
from eval.video import in_renderer

COUNT, FRAMES = 3, 6


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """An episode in words and as a PNG; None where this machine could not render it."""

    caption: str
    png: bytes | None


def exhibits(cells: Sequence[Cell], frame: pd.DataFrame, home: Path, count: int = COUNT) -> list[Exhibit]:
    """The `count` worst episodes of the first assistant in `frame`, a row an episode.

    A strip is kept in the folder of its cell in `home`, so it is never filmed twice.
    """
    return [_exhibit(cells, frame, episode, home) for episode in worst(frame, count)]


def worst(frame: pd.DataFrame, count: int = COUNT) -> list[dict[str, Any]]:
    """The first assistant's episodes of lowest reward, of equal ones those that deviate most from the operator.

    Those on a strength curve, where the operator itself fails, count only when there are no others.
    """
    ours = frame[frame["assistant"] == frame["assistant"].iloc[0]]
    plain = ours[ours["curve"].isna()] if "curve" in ours else ours
    ranked = (ours if plain.empty else plain).assign(deviation=lambda part: part["deviation"].astype(float))
    ranked = ranked.sort_values(["reward", "deviation"], ascending=[True, False], kind="stable")
    return [dict(episode) for episode in ranked.head(count).to_dict("records")]


def _exhibit(cells: Sequence[Cell], frame: pd.DataFrame, episode: dict[str, Any], home: Path) -> Exhibit:
    mine = [cell for cell in cells if _is_of(cell, episode)]
    if len(mine) != 1:
        return Exhibit(caption(episode), None)
    keys = ["row", "assistant", "training_seed"]
    part = frame[(frame[keys].fillna(-1) == pd.Series(episode)[keys].fillna(-1)).all(axis=1)]
    return Exhibit(caption(episode), strip(mine[0], episode, [int(seed) for seed in part["seed"]], home))


def _is_of(cell: Cell, episode: dict[str, Any]) -> bool:
    seed = None if pd.isna(episode["training_seed"]) else int(episode["training_seed"])
    return (cell.row, cell.assistant, cell.training_seed) == (episode["row"], episode["assistant"], seed)


def strip(cell: Cell, episode: dict[str, Any], seeds: Sequence[int], home: Path) -> bytes | None:
    """The picture of an `episode` of the `cell`, whose episodes have these `seeds`.

    It is played among the episodes that it was evaluated with, since a network's rounding depends on the size of its
    batch. None where nothing can be rendered, or when the replay ended otherwise, as a sampling assistant's may.
    """
    file = cell.folder(home, seeds) / f"strip-{episode['seed']}.png"
    if file.is_file():
        return file.read_bytes()
    place = seeds.index(episode["seed"])
    group = seeds[place - place % BATCH :][:BATCH]
    order = (seeds[place], *(seed for seed in group if seed != seeds[place]))
    film = in_renderer(filmed, (cell.setting, order, BATCH, FRAMES))
    if film is None or tuple(film[0][-1]["completed"]) != tuple(episode["completed"]):
        return None
    picture = draw(*film, cell.setting.labels(), bool(cell.setting.env["tasks"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, picture)
    return picture


def caption(episode: dict[str, Any]) -> str:
    """Which episode this is, and what was done of what was meant."""
    seed = episode["training_seed"]
    trained = "" if pd.isna(seed) else f", training seed {int(seed)}"
    deviation = "" if pd.isna(episode["deviation"]) else f", deviation {episode['deviation']:.2f}"
    plan = f" The operator meant: {', '.join(episode['intended'])}." if episode.get("intended") else ""
    done = ", ".join(episode["completed"]) or "nothing"
    head = f"{episode['row']}, {episode['assistant']}{trained}, episode {episode['seed']}"
    return f"{head}: reward {episode['reward']:g}{deviation}.{plan} Done: {done}."
