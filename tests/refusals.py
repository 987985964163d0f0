"""Programs that refuse: a folder with bad input, and fixtures that type a command there and read what is said."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.data_files import d4rl_arrays, write_hdf5

Refused = Callable[..., str]
TINY = ["training.steps=2", "training.validate_every=2", "training.batch_size=8", "model.width=8", "model.depth=2"]
TINY += ["intent=none"]
LIMITED = ["evaluation.episodes=0", "env.max_episode_steps=4"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with demonstrations and damaged copies of them, and its own Minari store, where everything is typed."""
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
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("MINARI_DATASETS_PATH", str(home / "store"))
        yield home


def call(patch: pytest.MonkeyPatch, module: str, *arguments: str) -> int | str | None:
    """The exit status of `python -m module arguments`, run in this process."""
    package = importlib.util.find_spec(module)
    program = f"{module}.__main__" if package and package.submodule_search_locations else module
    entry = importlib.import_module(program)
    patch.setattr(sys, "argv", [module, *arguments])
    try:
        status: int | None = entry.main(list(arguments)) if module == "envs.kitchen.expert" else entry.run()
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
    """A small run in that folder."""
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["data=d4rl", "data.path=good.hdf5", "run=trained", "assistant=bc", *TINY, *LIMITED]
        assert call(patch, "autonomy.train", *arguments) in (0, None)
    return "trained"
