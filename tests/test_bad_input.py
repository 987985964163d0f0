"""Bad input as a person meets it: every program answers with one sentence, exit code 2, and nothing written.

The programs run in this process, by the command line that a person types; only the full disk gets one of its own.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from autonomy.types import Array, Mask
from envs.operators import ZeroOperator
from tests.data_files import d4rl_arrays, write_hdf5

Refused = Callable[..., str]
TINY = ["training.steps=2", "training.validate_every=2", "training.batch_size=8", "model.width=8", "model.depth=2"]
TINY += ["intent=none"]
LIMITED = ["evaluation.episodes=0", "env.max_episode_steps=4"]


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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with demonstrations, damaged copies of them, and a small trained run."""
    home = tmp_path_factory.mktemp("home")
    arrays = d4rl_arrays([("kettle",), ("microwave",), ("kettle",)])
    good = write_hdf5(home / "good.hdf5", arrays)
    content = good.read_bytes()
    (home / "cut.hdf5").write_bytes(content[: len(content) // 2])
    (home / "text.hdf5").write_text("hello")
    write_hdf5(home / "wide.hdf5", {**arrays, "actions": np.zeros((27, 7), np.float32)})
    for name, value in (("nan", np.nan), ("big", 1.5)):
        shutil.copy(good, home / f"{name}.hdf5")
        with h5py.File(home / f"{name}.hdf5", "r+") as file:
            file["actions"][2, 3] = value
    return home


@pytest.fixture(scope="module", autouse=True)
def _there(home: Path) -> Iterator[None]:
    """Everything is typed in that folder, with a Minari store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("MINARI_DATASETS_PATH", str(home / "store"))
        yield


def call(patch: pytest.MonkeyPatch, module: str, *arguments: str) -> int | str | None:
    """The exit status of `python -m module arguments`, run in this process."""
    package = importlib.util.find_spec(module)
    program = f"{module}.__main__" if package and package.submodule_search_locations else module
    entry = importlib.import_module(program)
    patch.setattr(sys, "argv", [module, *arguments])
    try:
        status: int | None = entry.main(list(arguments)) if module == "envs.expert" else entry.run()
    except SystemExit as stopped:
        return stopped.code
    return status


@pytest.fixture
def refused(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs a program that must refuse; returns its sentence without `error: `."""

    def run(module: str, *arguments: str) -> str:
        before = {path for path in home.rglob("*") if "store" not in path.parts}
        status = call(monkeypatch, module, *arguments)
        said = capsys.readouterr()
        assert status == 2, said.err
        assert {path for path in home.rglob("*") if "store" not in path.parts} == before
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("error: ")
        return said.err.removeprefix("error: ").strip()

    return run


@pytest.fixture(scope="module")
def trained(home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["data=d4rl", "data.path=good.hdf5", "run=trained", "assistant=bc", *TINY, *LIMITED]
        assert call(patch, "autonomy.train", *arguments) in (0, None)
    return "trained"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env=kitchen-foo", "unknown env 'kitchen-foo'; the valid ones are kitchen, kitchen-complete, kitchen-mixed"),
        ("assistant=foo", "unknown assistant 'foo'; the valid ones are any-order, bc, conditional-bc"),
        ("model=huge", "unknown model 'huge'; the valid ones are paper, small"),
        ("schedule=foo", "unknown schedule 'foo'; the valid ones are constant, cosine, step"),
        ("data=foo", "unknown data 'foo'; the valid ones are d4rl, minari, scripted"),
        ("experiment=foo", "unknown experiment 'foo'; the valid ones are "),
        ("experiment=intent", "unknown experiment 'intent'; the valid ones are paper, smoke"),
        ("select=foo", "unknown key 'select'; the valid ones are assistant, data"),
        ("assistant.select=foo", "unknown select 'foo'; the valid ones are mean, mode, sample"),
        ("channels=shoulder", "there is no group 'channels' to choose from here; the valid ones are assistant, data"),
        ("env.tasks=[sink]", "unknown task 'sink'; the valid tasks are microwave, kettle"),
        ("env.tasks=[]", "the valid tasks are microwave, kettle"),
        ("training.steps=00143", "training.steps must be a whole number of at least 1, got '00143'"),
        ("training.steps=-1", "training.steps must be a whole number of at least 1, got -1"),
        ("training=foo", "training=foo is no group to choose from; set its keys"),
        ("model.width=-3", "model.width must be a whole number of at least 1, got -3"),
        ("model.width=abc", "model.width must be a whole number of at least 1, got 'abc'"),
        ("assistant._target_=foo.bar", "assistant: there is no such class"),
        ("seed=abc", "seed must be a whole number of at least 0, got 'abc'"),
        ("device=gpu", "device=gpu is not on this machine; the valid ones are auto, cpu"),
        ("evaluation.video=maybe", "evaluation.video must be true or false, got 'maybe'"),
        ("data.path=null", "data=d4rl needs data.path=FILE or data.path=[FILE,FILE]"),
        ("data.path=5", "data=d4rl needs data.path=FILE or data.path=[FILE,FILE]"),
        ("run=good.hdf5", "good.hdf5 is already in use"),
    ],
)
def test_training(refused: Refused, override: str, words: str) -> None:
    assert words in refused("autonomy.train", "data=d4rl", "data.path=good.hdf5", "run=new", *TINY, *LIMITED, override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env.noise=loud", "unknown noise 'loud'; the valid ones are v1, d4rl"),
        ("env.perturbed_start=5", "perturbed_start must be true, false or a number between 0 and 1"),
        ("env.max_episode_steps=0", "max_episode_steps must be a whole number"),
    ],
)
def test_a_world_that_cannot_be_is_refused_before_training(refused: Refused, override: str, words: str) -> None:
    assert words in refused("autonomy.train", "data=d4rl", "data.path=good.hdf5", "run=new", *TINY, override)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.hdf5", "missing.hdf5: there is no such file"),
        ("cut.hdf5", "cut.hdf5: damaged, truncated or no HDF5 file"),
        ("text.hdf5", "text.hdf5: damaged, truncated or no HDF5 file"),
        ("wide.hdf5", "actions has shape (27, 7) and type float32; a D4RL kitchen file holds observations (N, 60)"),
        ("nan.hdf5", "action nan in row 2, dimension 3; valid actions are finite numbers between -1 and 1"),
        ("big.hdf5", "action 1.5 in row 2, dimension 3; valid actions are finite numbers between -1 and 1"),
    ],
)
def test_data(refused: Refused, file: str, words: str) -> None:
    source = ["data=d4rl", f"data.path={file}"]
    assert words in refused("autonomy.data", *source)
    assert words in refused("autonomy.train", *source, "run=new", *TINY, *LIMITED)


def test_data_that_are_not_there(refused: Refused) -> None:
    sentence = refused("autonomy.data", "data=minari")
    assert "D4RL/kitchen/mixed-v2 is not in the local store" in sentence
    assert "data.download=true" in sentence
    assert "data=d4rl needs data.path=FILE" in refused("autonomy.train", "data=d4rl")


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
        (["channels=foo"], "unknown channels 'foo'; the valid ones are all, arm, base"),
        (["channels=[0,9]"], "channels=list channels.dims=[0,3]"),
        (["channels=list"], "channels.dims has no value; give channels.dims=..."),
        (["channels=list", "channels.dims=[9]"], "[9] are not distinct action dimensions; the valid ones are 0 to 8"),
        (["channels=list", "channels.dims=3"], "3 are not a list such as [0,3]; the valid dimensions are 0 to 8"),
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
        ("config.yaml", b"env: {name: kitchen-mixed}\nassistant: {}\n", "it lacks env.tasks"),
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


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["experiment=foo"], "unknown experiment 'foo'; the valid ones are "),
        (["assistants=[foo]"], "unknown assistant 'foo'; the valid ones are any-order, bc, conditional-bc"),
        (["cells=[]"], "cells must be a list of one or more"),
        (["+curves.k={play:['channels=random-1']}"], "the curve k needs play, key and values"),
        (["+curves.k={play:['channels=random-1'],key:channels.foo,values:[1]}"], "unknown key 'foo' in channels"),
        (["training_seeds=[0,0]"], "training_seeds must be different from each other, got [0, 0]"),
        (["stage=foo"], "unknown stage 'foo'; the valid ones are all, data, train, play"),
        (["shards=2", "shard=2"], "shard must be below shards=2, got 2"),
        (["budget=foo"], "unknown budget 'foo'; the valid ones are equal, own"),
        (["cells=[5]"], "cells must be lists such as [operator=expert, channels=shoulder], got 5"),
        (["cells=[['channels=foo']]"], "unknown channels 'foo'; the valid ones are all, arm"),
        (["out=good.hdf5"], "cannot write to out=good.hdf5"),
        (["episodes=0"], "episodes must be a whole number of at least 1"),
    ],
)
def test_benchmarks(refused: Refused, overrides: list[str], words: str) -> None:
    assert words in refused("eval.benchmark", "train=['data=d4rl','data.path=good.hdf5']", "out=never", *overrides)


def test_the_expert(refused: Refused) -> None:
    assert "folder that exists" in refused("envs.expert", "--video", "missing/expert.mp4")


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
