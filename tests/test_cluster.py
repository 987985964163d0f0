"""The benchmark's trainings and cells as jobs of hydra-submitit-launcher, by its local executor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JOBS = ["--multirun", "hydra/launcher=submitit_local", "shards=2", "shard=0,1"]


@pytest.fixture
def arguments(d4rl_file: Path) -> list[str]:
    small = ["training.steps=4", "training.validate_every=2", "model.width=8", "env.max_episode_steps=6"]
    train = ",".join(f"'{override}'" for override in ["data=d4rl", f"data.path={d4rl_file}", *small])
    return [
        *("experiment=intent", f"train=[{train}]", "assistants=[bc]", "training_seeds=[0,1]", "episodes=2"),
        *("cells=[['channels=base']]", "references=[]", "processes=1", "gallery=0"),
    ]


def test_jobs_do_the_work_and_the_program_only_reports(
    arguments: list[str], tmp_path: Path, program: Callable[..., Any]
) -> None:
    for stage in ("train", "play"):
        done = program("eval.benchmark", *JOBS, f"stage={stage}", *arguments, cwd=tmp_path, timeout=400)
        assert done.returncode == 0, done.stderr
    store = tmp_path / "runs" / "benchmark"
    assert len(list(store.glob("trainings/*.finished"))) == len(list(store.glob("cells/*/episodes.jsonl"))) == 2
    done = program("eval.benchmark", *arguments, cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "| expert-base | bc | 2" in done.stdout
    assert "trainings" not in done.stderr
    assert "cells" not in done.stderr


def test_a_job_that_fails_fails_the_program(arguments: list[str], tmp_path: Path, program: Callable[..., Any]) -> None:
    missing = "train=['data=d4rl','data.path=missing.hdf5']"
    done = program("eval.benchmark", *JOBS, "stage=train", *arguments, missing, cwd=tmp_path, timeout=400)
    assert done.returncode == 2
    assert "error: missing.hdf5: there is no such file" in done.stderr
