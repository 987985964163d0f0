"""Shared by the test files: small D4RL files and programs run as a person runs them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.refusals import home, refused, trained  # noqa: F401  (fixtures)

ROOT = Path(__file__).resolve().parents[1]
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def d4rl_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight episodes of 50 random states and actions that depend on them, in D4RL's layout."""
    rng, steps = np.random.default_rng(0), 400
    observations = rng.normal(size=(steps, 60)).astype(np.float32)
    file = tmp_path_factory.mktemp("d4rl") / "kitchen.hdf5"
    with h5py.File(file, "w") as content:
        content["observations"] = observations
        content["actions"] = np.clip(0.5 * observations[:, :9], -1, 1)
        content["terminals"] = np.arange(steps) % 50 == 49
    return file


@pytest.fixture(scope="session")
def program() -> Program:
    """`program("autonomy.train", "seed=1", ..., cwd=DIR)` runs python -m autonomy.train seed=1 ... on one thread."""

    def run(module: str, *arguments: str, cwd: Path = ROOT, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def smoke(program: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """`experiment=smoke` as a person runs it: its run directory and the Minari store with its demonstrations.

    Run once for all workers of pytest-xdist; leave both as they are.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock, pytest.MonkeyPatch.context() as monkeypatch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "run.txt").is_file():
            monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder / "minari"))
            done = program("autonomy.train", "env=kitchen-mixed", "experiment=smoke", cwd=folder, timeout=400)
            assert done.returncode == 0, done.stderr
            (folder / "run.txt").write_text(done.stdout.splitlines()[-1].removeprefix("run: "))
    return folder / (folder / "run.txt").read_text(), folder / "minari"
