"""`python -m autonomy.train` as a person runs it: kills and resumes, and mistakes that leave nothing behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from autonomy.checkpoint import load_assistant
from autonomy.configs import CONFIGS
from autonomy.run_directory import RunDirectory
from autonomy.train import train
from autonomy.types import UserError

Program = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ["evaluation.episodes=0", "model.width=32", "model.depth=2", "model.components=3"]


def arguments(file: Path, run: Path, *more: str) -> list[str]:
    training = ["training.steps=60", "training.validate_every=20", "training.batch_size=32"]
    return [*SMALL, *training, "data=d4rl", f"data.path={file}", f"run={run}", *more]


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def start(root: Path, *overrides: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "autonomy.train", *overrides]
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def steps_done(run: Path) -> int:
    records = RunDirectory(run).metrics()
    return int(records[-1]["step"]) if records else 0


def kill_in_training(process: subprocess.Popen[bytes], run: Path) -> None:
    """SIGKILL at a random moment 10 to 120 steps later."""
    until = steps_done(run) + random.randrange(10, 120)
    while process.poll() is None and steps_done(run) < until:
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.03))
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, root: Path, d4rl_file: Path) -> None:
    long = ["training.steps=400", "training.validate_every=10", "training.ema=0.99"]
    long += ["assistant.density.network.dropout=0.1"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(root, *arguments(d4rl_file, whole, *long)).wait(120) == 0
    process = start(root, *arguments(d4rl_file, broken, *long))
    time.sleep(random.uniform(0, 2))  # anywhere, perhaps before there is anything
    process.kill()
    process.wait()
    for _ in range(2):
        begun = (broken / "config.yaml").is_file()
        again = [f"resume={broken}", "evaluation.episodes=0"] if begun else arguments(d4rl_file, broken, *long)
        kill_in_training(start(root, *again), broken)
    assert 0 < steps_done(broken) < 400, "the machine was too fast: the kills came after the end"
    assert start(root, f"resume={broken}", "evaluation.episodes=0").wait(120) == 0
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert steps_done(broken) == 400
    assert [record["step"] for record in RunDirectory(broken).metrics()] == list(range(10, 401, 10))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(config(*arguments(d4rl_file, run, "assistant=bc")))
    return run


def test_a_run_directory_holds_all_that_is_needed(finished: Path, d4rl_file: Path) -> None:
    files = {"budget.json", "card.json", "config.yaml", "metrics.jsonl", "model.safetensors", "tensorboard"}
    files |= {"persistence", "training.safetensors"}
    assert {entry.name for entry in finished.iterdir()} == files
    assert json.loads((finished / "card.json").read_text())["episodes"] == 8
    kept = OmegaConf.load(finished / "config.yaml")
    assert kept.name == "bc"
    assert kept.assistant.width == 32
    assert "run" not in kept
    assert "resume" not in kept


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(
    tmp_path: Path, finished: Path, d4rl_file: Path
) -> None:
    torch.manual_seed(99)  # the global generator has no say
    for name, seed in (("same", 0), ("other", 1)):
        train(config(*arguments(d4rl_file, tmp_path / name, "assistant=bc", f"seed={seed}")))
    weights = (finished / "model.safetensors").read_bytes()
    assert (tmp_path / "same" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights


def test_the_last_line_is_the_run(program: Program, tmp_path: Path, d4rl_file: Path) -> None:
    done = program("autonomy.train", *arguments(d4rl_file, Path("unused")), "run=null", "assistant=bc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = done.stdout.splitlines()[-1].removeprefix("run: ")
    assert run.startswith("runs/")
    assert run.endswith("-bc-seed0")
    assert (tmp_path / run / "model.safetensors").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["seed=-1"], "seed must be a whole number of at least 0, got -1"),
        (["seed=00143"], "seed must be a whole number of at least 0, got '00143'"),
        (["evaluation.episodes=-2"], r"evaluation\.episodes must be a whole number"),
        (["evaluation.seed=x"], r"evaluation\.seed must be a whole number"),
        (["evaluation.processes=0"], r"evaluation\.processes must be a whole number of at least 1"),
        (["threads=0"], "threads must be a whole number of at least 1"),
        (["device=tpu"], "device=tpu is not on this machine; the valid ones are auto, cpu"),
        (["env.action_dim=7"], r"env\.action_dim of env=kitchen-mixed is 9, not 7"),
        (["env.state_dim=59"], r"env\.state_dim of env=kitchen-mixed is 30, not 59"),
        (["data.path=nothing.hdf5"], r"nothing\.hdf5"),
        (["resume=nothing", "run=null"], "there is no run directory nothing"),
        (["resume=nothing"], "not both"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path: Path, d4rl_file: Path, overrides: list[str], sentence: str) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError, match=sentence):
        train(config(*arguments(d4rl_file, run, *overrides)))
    assert not run.exists()


def test_data_of_another_robot(tmp_path: Path) -> None:
    file = tmp_path / "arm.npz"
    np.savez(file, states=np.zeros((20, 4)), actions=np.zeros((20, 1)), episode_ends=np.array([10, 20]))
    world = ["env=gym", "env.world.id=Pendulum-v1"]
    with pytest.raises(UserError, match="the data's states have width 4, but env=gym has 3"):
        train(config(*SMALL, *world, "data=npz", f"data.path={file}", f"run={tmp_path / 'run'}"))
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(finished: Path, d4rl_file: Path) -> None:
    before = (finished / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="is already in use"):
        train(config(*arguments(d4rl_file, finished, "seed=1")))
    assert (finished / "model.safetensors").read_bytes() == before


def test_a_finished_run_may_be_resumed(program: Program, finished: Path) -> None:
    before = (finished / "model.safetensors").read_bytes()
    done = program("autonomy.train", f"resume={finished}", "env=kitchen-mixed", "threads=1")
    assert done.returncode == 0, done.stderr
    kept = RunDirectory(finished).config()
    assert (kept.threads, kept.evaluation.episodes) == (1, 0), (
        "a resumed run keeps what the command line doesn't change"
    )
    assert done.stdout.splitlines()[-1] == f"run: {finished}"
    assert (finished / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("override", ["training.steps=70", "env=kitchen-partial", "experiment=smoke", "model=paper"])
def test_resuming_with_other_settings_is_refused(program: Program, finished: Path, override: str) -> None:
    done = program("autonomy.train", f"resume={finished}", override)
    assert done.returncode == 2
    assert done.stderr == f"error: resume={finished} goes on with its own configuration; leave {override} out\n"


def test_other_data_cannot_finish_a_run(tmp_path: Path, d4rl_file: Path) -> None:
    import shutil

    import h5py

    data, run = tmp_path / "data.hdf5", tmp_path / "run"
    shutil.copy(d4rl_file, data)
    train(config(*arguments(data, run, "assistant=bc")))
    with h5py.File(data, "r+") as content:
        content["actions"][3, 3] = 0.123
    with pytest.raises(UserError, match="the data changed since"):
        train(config("run=null", f"resume={run}"))
    (run / "card.json").write_text("{")
    with pytest.raises(UserError, match=r"card\.json is corrupted"):
        train(config("run=null", f"resume={run}"))


def test_a_corrupted_training_state_is_named(tmp_path: Path, d4rl_file: Path) -> None:
    run = tmp_path / "run"
    train(config(*arguments(d4rl_file, run, "assistant=bc")))
    (run / "training.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match=r"training\.safetensors is corrupted"):
        train(config("run=null", f"resume={run}"))


def test_recordings_of_any_robot_train_without_a_simulator(program: Program, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "robot.npz"
    actions = rng.uniform([-200, 0, 5], [100, 3, 5], (40, 3))
    np.savez(file, states=rng.normal(size=(40, 4)), actions=actions, episode_ends=np.array([10, 20, 30, 40]))
    run = tmp_path / "run"
    uniform = ["masks@assistant.masks=uniform", "training.steps=2", "model.width=8", "model.components=2"]
    done = program("autonomy.train", "env=recorded", "data=npz", f"data.path={file}", f"run={run}", *uniform)
    assert done.returncode == 0, done.stderr
    kept = RunDirectory(run).config()
    assert (kept.env.state_dim, kept.env.action_dim) == (4, 3)
    assert (kept.actions.box.low[2], kept.actions.box.high[2]) == (4, 6)
    assert RunDirectory(run).read_json(run / "card.json")["constant"] == ["2"]
    seen = {"state": np.zeros((1, 4)), "operator_action": np.zeros((1, 3)), "operator_mask": np.array([[1, 0, 0]])}
    assert load_assistant(run).predict(seen)[0].shape == (1, 3)
    again = program("autonomy.train", f"resume={run}")
    assert again.returncode == 0, again.stderr
