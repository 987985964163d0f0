"""Calibration of the intent score on held-out rows, and `python -m eval.intent`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from autonomy.run_directory import RunDirectory
from autonomy.train import train
from autonomy.types import UserError
from eval import intent
from eval.intent import calibration, distance, held_out
from eval.settings import compose_config
from tests.laws import generator

torch.set_num_threads(1)
SMALL = ["training.steps=2", "training.validate_every=2", "model.width=8", "model.depth=2", "evaluation.episodes=0"]


def trained(path: Path, d4rl_file: Path, *overrides: str) -> Path:
    cfg = compose_config("train", ["data=d4rl", f"data.path={d4rl_file}", *SMALL, f"run={path}", *overrides])
    return train(cfg).path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path) -> Path:
    return trained(tmp_path_factory.mktemp("intent") / "mac", d4rl_file, "model.components=3", "seed=5")


def test_calibration_ranks_held_out_rows_only(run: Path, d4rl_file: Path) -> None:
    """The run's seed decides which of the eight episodes are held out, as it did in training."""
    directory = RunDirectory.open(run)
    kept = held_out(directory)
    everything = instantiate(directory.config().data).load()
    matching = [np.array_equal(kept.actions.numpy(), episode.actions) for episode in everything]
    assert sum(matching) == 1
    assert matching != [np.array_equal(_other(run).numpy(), episode.actions) for episode in everything]
    ranks = calibration(run, ["base", "random-3"], 20, generator(1), 9)
    again = calibration(str(run), ["base", "random-3"], 20, generator(1), 9)
    assert list(ranks) == ["base", "random-3"]
    for name, values in ranks.items():
        assert values.shape == (20,)
        assert set(np.round(10 * values).astype(int)) <= set(range(1, 11))
        np.testing.assert_array_equal(values, again[name])
    assert len(calibration(run, ["base"], 10_000, generator(1), 1)["base"]) == len(kept.actions)


def _other(run: Path) -> Tensor:
    """What another seed would have held out."""
    config = RunDirectory.open(run).config()
    config.seed = 6
    return intent.split_rows(instantiate(config.data).load(), config, torch.device("cpu"))[1].actions


def test_the_distance_is_over_the_improbable_half_of_what_a_rank_can_be() -> None:
    even = np.arange(1, 21) / 20
    assert distance(even, 19) == pytest.approx(0.0, abs=1e-12)
    assert distance(even.astype(np.float32), 19) == pytest.approx(0.0, abs=1e-7)
    assert distance(np.ones(7), 19) == pytest.approx(0.5)
    assert distance(np.full(7, 0.05), 19) == pytest.approx(0.95)
    assert distance(np.repeat([0.25, 0.5, 0.75, 1.0], [1, 1, 0, 2]), 3) == pytest.approx(0.0)  # off above one half only


def call(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.intent", *overrides])
    intent.run()


def test_the_program_prints_a_table_and_writes_ranks_and_figure(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, f"run={run}", "held=[shoulder,fingers]", "rows=30", "draws=19", f"out={tmp_path / 'new'}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["channels", "n"]
    written = pd.read_csv(tmp_path / "new" / "intent.csv")
    assert written.groupby("channels").size().to_dict() == {"shoulder": 30, "fingers": 30}
    for line, name in zip(lines[1:], ["shoulder", "fingers"], strict=False):
        share = (written["rank"][written["channels"] == name] <= 0.05).mean()
        cells = line.split()
        assert (cells[:2], cells[3]) == ([name, "30"], f"{share:.3f}")
    assert lines[-1] == f"out: {tmp_path / 'new'}"
    assert (tmp_path / "new" / "intent.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["rows=0"], "rows must be a whole number of at least 1"),
        (["draws=0"], "draws must be a whole number of at least 1"),
        (["held=[elbow]"], "shoulder"),
        (["held=shoulder"], "held must be a list"),
        (["run=nothing"], "there is no run directory"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as exit_of:
        call(monkeypatch, f"run={run}", *overrides)
    assert exit_of.value.code == 2
    assert words in capsys.readouterr().err
    assert not (run / "intent").exists()


def test_an_assistant_without_a_density_and_changed_data_are_refused(
    run: Path, d4rl_file: Path, tmp_path: Path
) -> None:
    bc = trained(tmp_path / "bc", d4rl_file, "assistant=bc", "intent=none")
    with pytest.raises(UserError, match="does not know p"):
        calibration(bc, ["base"], 5, generator(), 9)
    card = json.loads((bc / "card.json").read_text())
    (bc / "card.json").write_text(json.dumps({**card, "content_hash": "other"}))
    with pytest.raises(UserError, match="data changed"):
        held_out(RunDirectory.open(bc))
