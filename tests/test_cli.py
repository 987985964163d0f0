"""Entry points: mistakes become one sentence and exit code 2, bugs keep their traceback, --help is quick."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autonomy.cli import CONFIGS, explain, reported
from autonomy.types import UserError

Program = Callable[..., subprocess.CompletedProcess[str]]
ASSISTANTS = ", ".join(sorted(file.stem for file in (CONFIGS / "assistant").glob("*.yaml")))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("assistant=foo", f"unknown assistant 'foo'; the valid ones are {ASSISTANTS}"),
        ("model=huge", "unknown model 'huge'; the valid ones are paper, small"),
        ("experiment=nothing", "unknown experiment 'nothing'; the valid ones are "),
        ("stepz=3", "unknown key 'stepz'; the valid ones are actions, assistant, data, device"),
        ("training.stepz=3", "unknown key 'stepz' in training; the valid ones are _target_, batch_size"),
        ("seed.deep=3", "seed is a plain value and has no key 'deep'"),
        ("training.steps=[1", "cannot read the override 'training.steps=[1'"),
        ("training.steps", "cannot read the override 'training.steps'"),
        ("~nothing", "Could not delete from config. 'nothing' does not exist."),
    ],
)
def test_bad_overrides_name_the_valid_choices(override: str, sentence: str) -> None:
    with pytest.raises(Exception) as caught, initialize_config_dir(str(CONFIGS), version_base="1.3"):  # noqa: PT011
        compose("train", [override])
    explained = explain(caught.value)
    assert explained is not None
    assert explained.startswith(sentence)
    assert "\n" not in explained


def test_a_constructors_refusal_is_explained() -> None:
    target = {"_target_": "autonomy.channels.FixedChannels", "dims": [9], "dim": 9}
    with pytest.raises(Exception) as caught:  # noqa: PT011
        instantiate(OmegaConf.create({"deeper": {"channels": target}}))
    assert explain(caught.value) == "channels [9] are not distinct action dimensions; the valid ones are 0 to 8"
    with pytest.raises(Exception) as caught:  # noqa: PT011
        instantiate(OmegaConf.create({"trunk": {"_target_": "builtins.int", "_args_": ["x"]}}))
    assert explain(caught.value) == "trunk: invalid literal for int() with base 10: 'x'"


def test_a_missing_value_is_named() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        _ = OmegaConf.create({"run": "???"}).run
    assert explain(caught.value) == "run has no value; give run=..."


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for error, code, text in [
        (UserError("two\n lines"), 2, "error: two lines\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 2, "error: the disk is full: No space left on device"),
    ]:
        with pytest.raises(SystemExit) as caught, reported():
            raise error
        assert caught.value.code == code
        assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize("bug", [RuntimeError("bug"), OSError(errno.EACCES, "Permission denied"), ZeroDivisionError()])
def test_bugs_keep_their_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)), reported():
        raise bug


def test_the_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError), reported():
        raise UserError("a mistake")


def test_help_is_quick_and_lists_the_groups(program: Program) -> None:
    started = time.monotonic()
    shown = program("autonomy.train", "--help")
    assert time.monotonic() - started < 10  # torch alone would take as long on a busy machine
    assert shown.returncode == 0
    assert f"assistant: {ASSISTANTS}" in shown.stdout


def test_help_imports_no_heavy_library(root: Path) -> None:
    code = "import sys, autonomy.train; print([m for m in ('torch', 'mujoco', 'minari', 'scipy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True).strip() == "[]"


NESTED = """
import hydra
from autonomy.cli import main
from autonomy.configs import CONFIGS

@main("data")
def run(cfg):
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        print(cfg.env.name, hydra.compose("train").name)

run()
"""


def test_a_program_may_compose_other_configurations(root: Path, tmp_path: Path) -> None:
    jobs = ["--multirun", "env=kitchen-partial,kitchen-complete", f"hydra.sweep.dir={tmp_path}"]
    for arguments, lines in (([], ["kitchen-mixed mac"]), (jobs, ["kitchen-partial mac", "kitchen-complete mac"])):
        done = subprocess.run([sys.executable, "-c", NESTED, *arguments], cwd=root, capture_output=True, text=True)
        assert done.stdout.splitlines() == lines, done.stderr


def test_a_program_leaves_nothing_but_its_sentence(program: Program, tmp_path: Path) -> None:
    done = program("autonomy.train", "assistant=foo", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: unknown assistant 'foo'; the valid ones are {ASSISTANTS}\n"
    assert not list(tmp_path.iterdir())
