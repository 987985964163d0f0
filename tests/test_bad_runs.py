"""Runs that do not fit, are damaged or cannot be written: one sentence, exit code 2, and nothing is lost.

The programs run in this process; only the full disk gets one of its own.
"""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autonomy.types import Array, Mask
from envs.operators import ZeroOperator
from tests.refusals import Refused, call


class BrokenOperator(ZeroOperator):
    """NaN at first, then the wrong shape, then proper commands."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.name, self._step = "broken", 0

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._step = 0

    def act(self, states: Array, simulators: Any) -> Array:
        self._step += 1
        actions = np.zeros((len(states), self._dim), np.float32)
        if self._step == 1:
            actions[0, 0] = np.nan
        return actions[:, :5] if self._step == 2 else actions


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["env=kitchen-foo"], "unknown env 'kitchen-foo'; the valid ones are "),
        (["env=kitchen-partial"], "trained with env.name=kitchen-mixed, not kitchen-partial; use env=kitchen-mixed"),
        (["operator=foo"], "unknown operator 'foo'; the valid ones are biased, delayed, drop-out, expert"),
        (["operator.order=[dishes]"], "unknown task 'dishes' in the operator's order; the tasks are microwave"),
        (["operator.speed=fast"], "speed must be in (0, 1]"),
        (["operator=policy"], "operator.policy.path has no value; give operator.policy.path=..."),
        (["operator=policy", "operator.policy.path=nothing"], "neither a run directory nor a zip"),
        (
            ["channels=foo"],
            "unknown channels 'foo'; the valid ones are arm, base, fingers, shoulder, wrist, none, all,",
        ),
        (["channels=foo", "out=new"], "random-1 to random-9, or a list of dimensions such as [0]"),
        (["channels=[0,9]"], "[0, 9] are not distinct action dimensions; the valid ones are 0 to 8"),
        (["channels=random-10"], "unknown channels 'random-10'; the valid ones are arm, base"),
        (["channels=list", "channels.dims=[9]"], "channels is a plain value and has no key 'dims'"),
        (["channels=3"], "unknown channels 3; the valid ones are arm, base"),
        (["operator=[0,9]"], "a group such as operator takes names, not numbers"),
        (["episodes=0"], "episodes must be a whole number of at least 1"),
        (["out=good.hdf5"], "cannot write to out=good.hdf5"),
        (["run=nothing"], "there is no run directory nothing; a run directory is what training printed"),
        (["run=good.hdf5"], "there is no run directory good.hdf5"),
        (["run=."], "has no config.yaml; it is not a run"),
        (["video=maybe"], "video must be true or false"),
    ],
)
def test_rollouts(refused: Refused, trained: str, overrides: list[str], words: str) -> None:
    assert words in refused("eval.rollout", f"run={trained}", "episodes=1", "processes=1", "out=never", *overrides)


ENV = "env: {name: kitchen-mixed, obs: pose, state_dim: 30, action_dim: 9, tasks: [kettle]}\n"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.yaml", None, "has no config.yaml"),
        ("config.yaml", b"\x00\x01{{", "config.yaml is corrupted or of another program"),
        ("config.yaml", b"a: [1", "config.yaml is corrupted or of another program"),
        ("config.yaml", b"", "it lacks the groups env and assistant"),
        ("config.yaml", b"env: 3\nassistant: 4\n", "it lacks the groups env and assistant"),
        ("config.yaml", b"env: ${foo}\nassistant: {}\n", "Interpolation key 'foo' not found"),
        ("config.yaml", b"env: {name: mine}\nassistant: {}\n", "it lacks env.tasks"),
        ("config.yaml", f"{ENV}assistant: {{_target_: foo.bar}}\n".encode(), "No module named 'foo'"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("model.safetensors", b"", "model.safetensors is corrupted or of another program"),
    ],
)
def test_damaged_runs(
    refused: Refused, trained: str, tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / file).unlink() if content is None else (run / file).write_bytes(content)
    assert words in refused("eval.rollout", f"run={run}", "episodes=1", "processes=1", "out=never")


def test_weights_and_training_state_cut_in_half(refused: Refused, trained: str, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    for file in (run / "model.safetensors", run / "training.safetensors"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    rollout = ["eval.rollout", "episodes=1", "processes=1", "out=never"]
    words = f"{run}/model.safetensors is corrupted or of another program"
    assert words in refused(*rollout, f"run={run}")
    assert words in refused(*rollout, f"run={trained}", "operator=policy", f"operator.policy.path={run}")
    assert "training.safetensors is corrupted" in refused("autonomy.train", f"resume={run}")


def test_a_run_of_another_action_size(refused: Refused, trained: str, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("action_dim: 9", "action_dim: 7"))
    rollout = ["eval.rollout", "episodes=1", "processes=1", "out=never"]
    assert "was trained with env.action_dim=7, not 9" in refused(*rollout, f"run={run}", "env=kitchen-mixed")
    sentence = refused(*rollout, f"run={trained}", "operator=policy", f"operator.policy.path={run}")
    assert "model.safetensors does not fit the model of" in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"hello", "it lacks the groups"), (f"{ENV}assistant: {{}}\n".encode(), "it lacks data, model, training")],
)
def test_resuming_what_is_no_run(refused: Refused, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    assert words in refused("autonomy.train", f"resume={tmp_path}")


@pytest.mark.parametrize("file", ["card.json", "summary.json", "budget.json"])
@pytest.mark.parametrize("content", ["[1", "[{}]"])
def test_reports(refused: Refused, trained: str, tmp_path: Path, file: str, content: str) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / file).write_text(content)
    assert f"{file} is" in refused("eval.report", f"run={run}")


def test_an_operator_that_fails_is_marked_and_the_others_go_on(
    trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = ["operator=zero", f"operator._target_={__name__}.BrokenOperator", "channels=base"]
    rollout = [f"run={trained}", "episodes=2", "processes=1", "batch=2", f"out={tmp_path / 'out'}", *operator]
    assert call(monkeypatch, "eval.rollout", *rollout) in (0, None)
    records = [json.loads(line) for line in (tmp_path / "out" / "episodes.jsonl").read_text().splitlines()]
    assert [record["length"] for record in records] == [4, 4]
    assert "got NaN or infinity in dimensions [0]" in records[0]["operator_error"]
    assert "got shape (5,)" in records[1]["operator_error"]
    assert "commands of the operator were refused in 2 episodes" in capsys.readouterr().out


def test_a_full_disk_leaves_the_old_checkpoint(
    trained: str, tmp_path: Path, program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files fails like a full disk does."""
    run = shutil.copytree(trained, tmp_path / "run")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("steps: 2\n", "steps: 4\n"))
    saved = {name: (run / name).read_bytes() for name in ("model.safetensors", "training.safetensors")}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(saved["training.safetensors"]) - 100, limit[1]))
    try:
        done = program("autonomy.train", f"resume={run}", cwd=Path.cwd())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert done.returncode == 2, done.stderr
    assert "what was saved before is intact, make room and go on with" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {name: (run / name).read_bytes() for name in saved} == saved
    assert not list(run.glob(".*.tmp"))
