"""The benchmark: its table on known records, and a small real one that is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autonomy.types import UserError
from eval.benchmark.trainings import plan_trainings, train_all
from eval.cockpit.logbook import Entry
from eval.cockpit.trial import SCALES, Trial


def test_a_training_is_named_by_all_that_it_learns_from(tmp_path: Path) -> None:
    def run(*overrides: str, seed: int = 0) -> Path:
        return plan_trainings(["bc"], [seed], overrides, tmp_path)[0].run

    assert run() == run("model=small") == run("threads=2", "evaluation.episodes=3")
    assert len({run(), run(seed=1), run("model.width=8"), run("data=d4rl", "data.path=a"), run("schedule=step")}) == 5


def test_a_variant_is_a_name_for_overrides(tmp_path: Path) -> None:
    variants = {"thin": ["assistant=mac", "assistant.density.network.floor=0.02"]}
    training = plan_trainings(["thin"], [3], ["data=d4rl"], tmp_path, variants)[0]
    same = plan_trainings(["mac"], [3], ["data=d4rl", "assistant.density.network.floor=0.02"], tmp_path)[0]
    assert training.assistant == "thin"
    assert training.run == same.run, "what it is called changes nothing that is learned"
    assert training.run.name.startswith("mac-seed3-")
    assert training.command()[-4:] == ["data=d4rl", "assistant=mac", "assistant.density.network.floor=0.02", "seed=3"]


def test_a_training_that_fails_says_why(tmp_path: Path, d4rl_file: Path) -> None:
    trainings = plan_trainings(["bc"], [0], ["data=d4rl", f"data.path={d4rl_file}", "training.steps=0"], tmp_path)
    with pytest.raises(UserError, match=r"bc-seed0-.* failed"):
        train_all(trainings, processes=1)
    assert not trainings[0].finished


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path, program: Callable[..., Any]) -> dict[str, Any]:
    """A benchmark of two assistants and one training seed, run twice."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    small = ["training.steps=4", "training.validate_every=2", "model.width=8", "env.max_episode_steps=6"]
    train = ",".join(f"'{override}'" for override in ["data=d4rl", f"data.path={d4rl_file}", *small])
    arguments = [
        "experiment=paper-table", f"data.path={d4rl_file}", f"out={out}", f"store={out}", f"train=[{train}]",
        "training_seeds=[0]", "episodes=3", "assistants=[mac,bc]", "partner_seed=7", "processes=1",
        "gallery=0", "calibration=20",
    ]  # fmt: skip
    first = program("eval.benchmark", *arguments, timeout=400)
    assert first.returncode == 0, first.stderr
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".safetensors", ".jsonl")}
    return {
        "out": out,
        "first": first,
        "second": program("eval.benchmark", *arguments, timeout=400),
        "written": written,
        "arguments": arguments,
    }


def test_a_small_benchmark_prints_and_writes_its_report(finished: dict[str, Any]) -> None:
    text = (finished["out"] / "report.md").read_text()
    assert text.strip() in finished["first"].stdout
    for start in (
        "| zero-none | mac | 1",
        "| policy-random-3 | bc | 1",
        "| policy-all | the operator alone | 3",
    ):
        assert start in text
    assert "experiment=paper-table" in text
    assert "2.15 ± 0.06" in text
    card = json.loads(next(finished["out"].glob("trainings/mac-seed0-*/card.json")).read_text())
    assert f"dataset transitions: {card['steps']}\n" in text
    cells = pd.read_csv(finished["out"] / "cells.csv")
    assert len(cells) == 3 * (3 * 2 + 3)
    assert {"training_seed", "reward", "deviation", "seed", "mask"} <= set(cells.columns)


def test_finished_trainings_and_cells_are_never_run_again(finished: dict[str, Any]) -> None:
    second = finished["second"]
    assert second.returncode == 0, second.stderr
    assert "trainings" not in second.stderr
    assert "cells" not in second.stderr
    assert finished["written"] == {path: path.stat().st_mtime_ns for path in finished["written"]}
    assert second.stdout == finished["first"].stdout


def test_a_trial_with_a_person_is_one_more_operator(
    finished: dict[str, Any], tmp_path: Path, program: Callable[..., Any]
) -> None:
    trial = Trial(2, 0, tmp_path / "anna", "mac", "base")
    for steps, leg in enumerate(list(trial.legs), 3):
        entry = Entry(leg.seed, "mac", (1, 0), np.zeros(2), np.zeros(2), steps=steps, reward=float(leg.assisted))
        entry.ms = [2.0]
        trial.began()
        trial.ended()
        trial.answer(dict.fromkeys(SCALES, 20 if leg.assisted else 70), entry)
    out = tmp_path / "report"
    done = program("eval.benchmark", *finished["arguments"], f"people=[{tmp_path / 'anna'}]", f"out={out}", timeout=400)
    assert done.returncode == 0, done.stderr
    lines = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("| person-base, anna")]
    assert [line.split("|")[2].strip() for line in lines[:2]] == ["mac", "the operator alone"]
    assert any("| 20 " in line for line in lines)
    assert any("| 70 " in line for line in lines)
    wrong = program("eval.benchmark", *finished["arguments"], "people=[nowhere]")
    assert wrong.returncode == 2
    assert "nowhere/episodes.jsonl is not a file of evaluated episodes" in wrong.stderr


def test_a_missing_data_path_is_one_sentence(program: Callable[..., Any]) -> None:
    done = program("eval.benchmark", "experiment=paper-table")
    assert done.returncode == 2
    assert "data.path" in done.stderr
    assert "Traceback" not in done.stderr
