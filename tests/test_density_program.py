"""`python -m eval.density`: its configurations, its table, and that it never does a thing twice."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from autonomy.configs import CONFIGS
from autonomy.density.base import Density
from autonomy.types import UserError
from eval.density.scores import KINDS
from eval.density.tables import read_published
from tests.conftest import Program

ROOT = CONFIGS / "density"
ANY_ORDER = ["any-order", "any-order-reweighted"]
COMPLETING = ["mac", "mac-unweighted", "completion", "completion-unweighted"]
MODELS = sorted([*ANY_ORDER, *COMPLETING, "made", "ace", "flow", "gaussian", "mixture"])
SMALL = ["data.rows=400", "data.test_rows=60", "data.dim=3", "training.steps=6", "training.validate_every=3", "width=8"]
SMALL += ["components=2", "depth=2", "scoring.query_rows=3", "scoring.orders=2", "seeds=[0,1]"]


@pytest.fixture
def _hydra() -> Iterator[None]:
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        yield


def composed(*overrides: str) -> DictConfig:
    return compose("density", [*overrides])


@pytest.mark.usefixtures("_hydra")
@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_made_and_trained(model: str) -> None:
    cfg = composed("dim=3", "context_dim=0", "width=8", "depth=2", "components=2")
    made = instantiate(cfg.zoo[model])
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    density = made if isinstance(made, Density) else made(x, x[:, :0], seed=0)
    assert torch.isfinite(density.loss(x, x[:, :0], torch.Generator().manual_seed(0)))
    everything = torch.ones_like(x, dtype=torch.bool)
    assert torch.isfinite(density.log_prob(x, everything, ~everything)).all()


@pytest.mark.usefixtures("_hydra")
def test_all_models_are_in_the_zoo_and_all_names_are_known() -> None:
    cfg = composed()
    assert sorted(cfg.zoo) == MODELS
    assert {file.stem for file in (ROOT / "model").glob("*.yaml")} <= set(MODELS)
    assert set(cfg.models) | set(cfg.capacity.models) <= set(MODELS)
    ablation = composed("experiment=ablation")
    assert len(ablation.capacity.models) == 6
    assert ablation.capacity.widths == [16, 32, 64, 128, 256, 512]


@pytest.mark.usefixtures("_hydra")
@pytest.mark.parametrize("data", sorted(file.stem for file in (ROOT / "data").glob("*.yaml")))
def test_every_data_set_has_a_source(data: str) -> None:
    cfg = composed(f"data={data}", *(["data.name=gas", "data.path=FOLDER"] if data == "tabular" else []))
    name = "gas" if data == "tabular" else data
    assert cfg.name == name
    assert cfg.out == f"runs/density/{name}"
    if data != "kitchen":
        assert callable(instantiate(cfg.data).load)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, program: Program) -> dict[str, Any]:
    """All models and a sweep, tiny, run twice."""
    out = tmp_path_factory.mktemp("density") / "out"
    arguments = [*SMALL, f"out={out}", "capacity.widths=[4,8]", "processes=2"]
    first = program("eval.density", *arguments, timeout=300)
    assert first.returncode == 0, first.stderr
    written = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*")}
    return {"out": out, "first": first, "written": written, "second": program("eval.density", *arguments)}


def test_the_table_has_every_model_the_truth_and_the_differences(finished: dict[str, Any]) -> None:
    text = (finished["out"] / "table.md").read_text()
    assert text.strip() in finished["first"].stdout
    for model in ("mac", "completion", "any-order", "made", "ace", "flow", "gaussian", "mixture"):
        assert re.search(rf"^\| {model} \| [\d,]+ \| -?\d+\.\d{{3}} ± ", text, re.MULTILINE), model
    assert re.search(r"^\| truth \| \| -?\d", text, re.MULTILINE)
    assert re.search(r"^\| flow .*\| - \| - \| - \| - \| - \| - \|", text, re.MULTILINE)
    assert "| mac minus any-order (mean of orders) |" in text
    assert "| mac minus made (ensemble of orders) |" in text
    assert "| mac minus mixture | " in text
    assert re.search(r"^\| 4 \| -?\d.*\[[+-]", text, re.MULTILINE)
    assert "Only 2 training seeds" in text
    assert finished["first"].stdout.rstrip().endswith(f"out: {finished['out']}")


def test_results_queries_and_figures_are_written(finished: dict[str, Any]) -> None:
    out = finished["out"]
    results = json.loads((out / "results.json").read_text())
    cells = results["cells"]
    assert len(cells) == 8 * 2 + 2 * 2  # models x seeds, and the narrower width of the two that are swept
    assert {"model", "width", "seed", "parameters", "training_seconds", "coverage", "mean"} <= set(cells[0])
    assert set(results["truth"]) == set(KINDS)
    assert all(cell["coverage"].get("joint", {"untrained": 0})["untrained"] == 0 for cell in cells)
    table = pd.read_csv(out / "queries.csv", keep_default_na=False)
    assert len(table) == 3**3 - 2**3
    assert set(table.columns) == {
        "query",
        "evidence",
        "mac",
        "completion",
        "any-order",
        "made",
        "ace",
        "gaussian",
        "mixture",
    }
    assert (table["evidence"] == "").sum() == 2**3 - 1
    for figure in ("capacity.png", "queries.png"):
        assert (out / figure).read_bytes().startswith(b"\x89PNG")


def test_finished_cells_are_never_run_again(finished: dict[str, Any]) -> None:
    assert finished["second"].returncode == 0, finished["second"].stderr
    assert finished["second"].stdout == finished["first"].stdout
    assert finished["written"] == {path: path.stat().st_mtime_ns for path in finished["written"]}


def test_a_result_that_is_missing_is_made_again_and_no_other(finished: dict[str, Any], program: Program) -> None:
    lost = next((finished["out"] / "cells").glob("mac-width8-seed0-*")) / "result.json"
    before = lost.read_text()
    lost.unlink()
    again = program("eval.density", *SMALL, f"out={finished['out']}", "capacity.widths=[4,8]", "processes=1")
    assert again.returncode == 0, again.stderr
    same = {key: json.loads(text)["mean"] for key, text in (("then", before), ("now", lost.read_text()))}
    assert same["then"] == same["now"]
    others = {path: stamp for path, stamp in finished["written"].items() if lost.parent not in (path, *path.parents)}
    assert others == {path: path.stat().st_mtime_ns for path in others}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["data=foo"],
            "unknown data 'foo'; the valid ones are kitchen, synthetic, tabular",
        ),
        (
            ["data=tabular", "data.name=power"],
            "data=tabular data.name=power needs data.path=FOLDER; power is power/data.npy in data.tar.gz of https://zenodo.org",
        ),
        (["data=tabular"], "unknown data.name None; the valid ones are power, gas, hepmass, miniboone, bsds300"),
        (["data=tabular", "data.name=steam"], "unknown data.name 'steam'; the valid ones are power, gas, hepmass"),
        (["models=[mac,nice]"], "unknown model 'nice'; the valid ones are mac, mac-unweighted"),
        (["width=0"], "width must be a whole number of at least 1, got 0"),
        (["seeds=[]"], "seeds and models must be lists of one or more"),
        (["floor=0"], "floor must be a number above 0, got 0"),
        (["order=backwards"], "is no order of 3 dimensions; the valid ones are natural, reversed, spaced-S"),
        (["training.steps=0"], "training.steps must be a whole number of at least 1, got 0"),
        (["published=nothing.csv"], "published=nothing.csv is not a readable CSV"),
        (["experiment=intent"], "unknown experiment 'intent'; the valid ones are ablation"),
        (["foo=1"], "unknown key 'foo'; the valid ones are "),
        (["data=kitchen", "data.source=d4rl"], "give data.path=FILE"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {argument.partition("=")[0] for argument in arguments}
    small = [part for part in (*SMALL, "models=[mac]", "capacity.models=[]") if part.partition("=")[0] not in given]
    small = [part for part in small if not ("data" in given and part.startswith("data."))]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["eval.density", *small, *arguments])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("eval.density.__main__").run()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_published_rows_are_laid_beside_and_labelled(tmp_path: Path, program: Program) -> None:
    file = tmp_path / "published.csv"
    file.write_text("model,source,joint,marginal,conditional\nOther,Doe 2020,1.5,,0.25\n")
    assert read_published(str(file)) == [
        {"model": "Other", "source": "Doe 2020", "joint": "1.5", "marginal": "", "conditional": "0.25"}
    ]
    done = program("eval.density", *SMALL, "seeds=[0]", "models=[gaussian]", "capacity.models=[]",
                   f"published={file}", f"out={tmp_path / 'out'}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "| Other (published: Doe 2020) | | 1.5 | - | 0.25 |" in done.stdout
    file.write_text("name,value\na,1\n")
    with pytest.raises(
        UserError, match="has the columns name, value; it needs model, source, joint, marginal, conditional"
    ):
        read_published(str(file))


def test_queries_that_walk_untrained_nodes_are_named(tmp_path: Path, program: Program) -> None:
    narrow = ["zoo.mac.protocol.masks.low=1", "+zoo.mac.protocol.masks.high=2", "models=[mac]", "capacity.models=[]"]
    done = program("eval.density", *SMALL, "seeds=[0]", *narrow, f"out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert "Warning: mac, joint queries: 33.3% of the steps of inference (of 180 steps) are on 1 nodes" in done.stdout
    assert "such as {0, 1} 33.3%" in done.stdout
