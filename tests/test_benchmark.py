"""The benchmark: its table on known records, and a small real one that is resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autonomy.types import UserError
from eval.benchmark.cells import Cell
from eval.benchmark.table import METRICS, report, values_of
from eval.benchmark.trainings import plan_trainings, train_all
from eval.episodes import EpisodeRecord
from eval.play import Setting

NOBODY = Setting("zero", {}, {}, {}, {})


def record(seed: int, reward: float, deviation: float | None = 0.2) -> EpisodeRecord:
    return EpisodeRecord(
        "a", "expert", "base", (1, 0), seed, reward, 10, ("kettle",), ("kettle",), True, deviation, None, 1.0, 1.0, 1.0
    )


def results(shift: float, deviation: float | None = 0.2) -> list[tuple[Cell, list[EpisodeRecord]]]:
    rng, rows = np.random.default_rng(0), []
    for seed in (0, 1, 2):
        control = rng.integers(0, 4, 20).astype(float)
        for name, gain in (("mac", shift), ("bc", 0.0)):
            records = [record(index, value + gain, deviation) for index, value in enumerate(control)]
            rows.append((Cell("expert-base", name, seed, "x", NOBODY), records))
    return [*rows, (Cell("expert-base", "nobody", None, "zero", NOBODY), [record(s, 0.0) for s in range(20)])]


def test_the_table_has_assistants_differences_references_and_says_what_it_means() -> None:
    text = report(results(0.5), ["mac", "bc"], [0, 1, 2], range(20))
    assert "| expert-base | mac | 60 |" in text
    assert "| expert-base | nobody | 20 | 0.00 [0.00, 0.00] |" in text
    assert "| expert-base | mac minus bc | +0.50 [+0.50, +0.50], p < 0.001, p_seeds < 0.001 *" in text
    assert "new training seeds (3 were drawn)" in text
    assert "seeds\n0 to 19" in text


def test_a_star_needs_significance_after_the_adjustment_over_the_column() -> None:
    swings = np.tile([-1.0, 1.0], 10)

    def line(others: int) -> str:
        rewards = {"mac": np.zeros(20) + 2, "bc": 1.4 + swings} | {f"same{i}": np.zeros(20) + 2 for i in range(others)}
        rows = [
            (Cell("expert-base", name, seed, "x", NOBODY), [record(i, r, None) for i, r in enumerate(values)])
            for name, values in rewards.items()
            for seed in (0, 1, 2)
        ]
        text = report(rows, list(rewards), [0, 1, 2], range(20))
        return next(line for line in text.splitlines() if "mac minus bc" in line)

    assert "p_seeds = 0.01" in line(0)
    assert line(0).endswith("* | - |")
    assert line(5) == line(0).replace(" *", "")


def test_a_metric_that_has_no_value_is_a_dash() -> None:
    text = report(results(0.5, None), ["mac", "bc"], [0, 1, 2], range(20))
    line = next(line for line in text.splitlines() if "mac minus bc" in line)
    assert line.endswith("| - |")


def test_values_are_training_seeds_by_episodes() -> None:
    values = values_of(results(1.0), "expert-base", "mac", METRICS["reward"])
    assert values is not None
    assert values.shape == (3, 20)
    assert values_of(results(1.0), "another", "mac", METRICS["reward"]) is None


def test_a_training_is_named_by_all_that_it_learns_from(tmp_path: Path) -> None:
    def run(*overrides: str, seed: int = 0) -> Path:
        return plan_trainings(["bc"], [seed], overrides, tmp_path)[0].run

    assert run() == run("model=small") == run("threads=2", "evaluation.episodes=3")
    assert len({run(), run(seed=1), run("model.width=8"), run("data=d4rl", "data.path=a"), run("schedule=step")}) == 5


def test_a_variant_is_a_name_for_overrides(tmp_path: Path) -> None:
    variants = {"thin": ["assistant=mac", "assistant.floor=0.02"]}
    training = plan_trainings(["thin"], [3], ["data=d4rl"], tmp_path, variants)[0]
    assert training.run.name.startswith("thin-seed3-")
    assert training.command()[-4:] == ["data=d4rl", "assistant=mac", "assistant.floor=0.02", "seed=3"]


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
    ]  # fmt: skip
    first = program("eval.benchmark", *arguments)
    assert first.returncode == 0, first.stderr
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".safetensors", ".jsonl")}
    return {"out": out, "first": first, "second": program("eval.benchmark", *arguments), "written": written}


def test_a_small_benchmark_prints_and_writes_its_table(finished: dict[str, Any]) -> None:
    text = (finished["out"] / "table.md").read_text()
    assert text.strip() in finished["first"].stdout
    for start in ("| zero-none | mac | 3 |", "| policy-random-3 | bc | 3 |", "| policy-all | nobody | 3 |"):
        assert start in text
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


def test_a_missing_data_path_is_one_sentence(program: Callable[..., Any]) -> None:
    done = program("eval.benchmark", "experiment=paper-table")
    assert done.returncode == 2
    assert "data.path" in done.stderr
    assert "Traceback" not in done.stderr
