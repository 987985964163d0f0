"""Warnings about operators' masks that the assistant was never trained for, in training, rollouts and reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from autonomy.assistants.bc import BC
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.zero import ZeroAssistant
from autonomy.density.masks import FixedMasks
from eval.coverage import held_coverage, untrained, warn_untrained
from eval.episodes import EpisodeRecord
from eval.report import write_report
from tests.assistants import mac
from tests.conftest import Program

DIM = 4
NARROW = ["masks@assistant.masks=uniform", "assistant.masks.low=1", "assistant.masks.high=1"]


def record(mask: tuple[int, ...], channels: str = "base") -> EpisodeRecord:
    return EpisodeRecord("mac", "expert", channels, mask, 0, 1.0, 10, (), (), None, None, None, 1.0, 1.0, 1.0)


def assistant() -> DensityAssistant:
    return mac(sizes=(2, DIM), masks=FixedMasks([[0, 1]], DIM))


def test_what_was_held_is_what_counts() -> None:
    trained, foreign = record((1, 1, 0, 0)), record((0, 0, 1, 1), "wrist")
    covered = held_coverage(assistant(), [trained])
    assert covered is not None
    assert covered.untrained == 0
    half = held_coverage(assistant(), [trained, foreign])
    assert half is not None
    assert half.untrained == 0.5
    assert held_coverage(assistant(), [record((1, 1, 1, 1))]) is None  # nothing to fill in
    assert held_coverage(BC(2, DIM, 8, 2), [foreign]) is None
    assert held_coverage(ZeroAssistant(), [foreign]) is None


def test_only_operators_that_are_not_covered_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    records = [record((1, 1, 0, 0)), record((0, 0, 1, 1), "wrist")]
    (sentence,) = untrained(assistant(), records)
    assert sentence.startswith("expert on wrist: 100.0% of the steps of inference (exactly) are on 2 nodes")
    warn_untrained(assistant(), records)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"warning: {sentence}\n"


def test_training_warns_when_the_protocol_does_not_cover_its_own_masks(
    program: Program, d4rl_file: Path, tmp_path: Path
) -> None:
    small = ["data=d4rl", f"data.path={d4rl_file}", "training.steps=2", "model.width=8", "model.depth=2"]
    small += ["training.validate_every=2", "evaluation.episodes=0"]
    done = program(
        "autonomy.train", *small, "protocol@assistant.density.protocol=marginal", f"run={tmp_path / 'marginal'}"
    )
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr
    assert "nodes that training never visits" in done.stderr
    done = program("autonomy.train", *small, f"run={tmp_path / 'completion'}")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


def test_rollouts_and_reports_warn_too(smoke: tuple[Path, Path], tmp_path: Path, program: Program) -> None:
    """The smoke run, as if it had been trained for a single held dimension."""
    run = tmp_path / "run"
    shutil.copytree(smoke[0], run)
    assert "Warning" not in write_report(run).read_text()
    config = yaml.safe_load((run / "config.yaml").read_text())
    one = {"_target_": "autonomy.density.masks.CardinalityMasks", "dim": 9, "low": 1, "high": 1}
    config["assistant"]["masks"] = config["assistant"]["density"]["protocol"]["masks"] = one
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    page = write_report(run).read_text()
    assert "Warning" in page
    assert "expert on random-3: " in page
    assert "expert on shoulder: " not in page  # {0, 1, 2, 3} is on the path from {0}
    done = program("eval.rollout", f"run={run}", "operator=random", "channels=wrist", "episodes=1", "processes=1",
                   "env=kitchen-mixed", "env.max_episode_steps=4", f"out={tmp_path / 'out'}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning: random on wrist: " in done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())
