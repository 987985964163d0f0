"""Trains densities on the same rows with the same budget and says who knows the conditionals best; resumable.

    python -m eval.density data=synthetic
    python -m eval.density data=kitchen data.source=d4rl data.path=FILE.hdf5
    python -m eval.density experiment=ablation

Cells, `table.md`, `results.json`, `queries.csv` and figures go to runs/density/<name>.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from autonomy.checks import choice, number, whole
from autonomy.cli import main
from autonomy.configs import CONFIGS
from autonomy.types import UserError
from envs.parallel import imap_episodes
from eval.density import cell
from eval.density.cell import Cell
from eval.density.report import Report
from eval.density.tables import read_published
from eval.settings import usable_folder


@main("density", CONFIGS / "density")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/density/density.yaml."""
    home, published = usable_folder(Path(cfg.out)), read_published(cfg.published)
    check(cfg)
    data = cell.load(json.dumps(_plain(cfg.data)))
    print(data.describe(), flush=True)
    cfg.dim, cfg.context_dim = data.dim, data.context_dim
    cells = _cells(cfg, data.content_hash, cfg.models, [cfg.width], home)
    sweep = _cells(cfg, data.content_hash, cfg.capacity.models, cfg.capacity.widths, home)
    check_models([*cells, *sweep])
    run_all([*cells, *sweep], cfg.processes)
    report = Report(_plain(cfg), data, cells, sweep, published)
    report.write(home)
    print(report.text)
    print(f"out: {home}")


def check(cfg: DictConfig) -> None:
    """Raise `UserError` for a setting out of its range or an unknown model, before anything is trained."""
    for key in ("width", "depth", "components", "scoring.orders"):
        whole(key, OmegaConf.select(cfg, key), 1)
    whole("scoring.query_rows", cfg.scoring.query_rows, 0)
    number("floor", cfg.floor, 0, above=True)
    for key in ("scoring.rows", "processes"):
        if OmegaConf.select(cfg, key) is not None:
            whole(key, OmegaConf.select(cfg, key), 1)
    for key, low in (("seeds", 0), ("capacity.widths", 1)):
        for value in OmegaConf.select(cfg, key):
            whole(key, value, low)
    if not cfg.seeds or not cfg.models:
        raise UserError("seeds and models must be lists of one or more")
    for name in (*cfg.models, *cfg.capacity.models):
        choice("model", name, tuple(map(str, cfg.zoo)))


def check_models(cells: Sequence[Cell]) -> None:
    """Raise Hydra's error, with the mistake in it, for a model or a training that cannot be made."""
    for one in {json.dumps(one.config, sort_keys=True): one for one in cells}.values():
        instantiate(one.config["model"])
        instantiate(one.config["training"])


def _plain(cfg: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def _cells(cfg: DictConfig, rows: str, models: Sequence[str], widths: Sequence[int], home: Path) -> list[Cell]:
    """Every model at every width with every training seed; `rows` is the content hash of the data."""
    cells = []
    for width in widths:
        resolved = _plain(OmegaConf.merge(cfg, {"width": width}))  # type: ignore[arg-type]
        shared = {"rows": rows, **{key: resolved[key] for key in ("data", "training", "scoring")}}
        for name in models:
            config = {**shared, "model": resolved["zoo"][name]}
            cells += [Cell(name, width, seed, config, home / "cells") for seed in cfg.seeds]
    return cells


def run_all(cells: Sequence[Cell], processes: int | None) -> None:
    """Those that are not finished, a process each; the wide ones first, since they take longest."""
    pending = {str(cell.folder): cell for cell in cells if not cell.finished}
    jobs = sorted(pending.values(), key=lambda cell: -cell.width)
    options: dict[str, Any] = {"environment": {"OMP_NUM_THREADS": "1"}, "fresh": True}
    with tqdm(total=len(jobs), desc="densities", unit="model", disable=not jobs, dynamic_ncols=True) as bar:
        for _ in imap_episodes(cell.run, jobs, processes=processes, **options) if jobs else ():
            bar.update()


if __name__ == "__main__":
    run()
