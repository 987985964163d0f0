"""Run directories: atomic files, and one sentence for whatever is missing or corrupted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import UserError

CONFIG = OmegaConf.create({"env": {"name": "own"}, "assistant": {"name": "bc"}})


def test_create_and_open(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "a" / "b", CONFIG)
    assert RunDirectory.open(run.path).config() == CONFIG
    with pytest.raises(UserError, match=r"b is already in use; give another run=\.\.\., or resume="):
        RunDirectory.create(run.path, CONFIG)


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is already in use"):
        RunDirectory.create(tmp_path / "file", CONFIG)
    with pytest.raises(UserError, match="cannot make the run directory"):
        RunDirectory.create(tmp_path / "file" / "run", CONFIG)


def test_what_is_not_a_run_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run directory"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"has no config\.yaml"):
        RunDirectory.open(tmp_path)


@pytest.mark.parametrize("content", [b"a: [1", b"- 1\n", b"a: 1\n", b"", b"\xff\xfe\x00"])
def test_a_corrupted_configuration(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml is corrupted or of another program"):
        RunDirectory.open(tmp_path).config()


def test_json_files(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", CONFIG)
    run.write_json(run.card_file, {"episodes": 3})
    assert run.read_json(run.card_file) == {"episodes": 3}
    run.card_file.write_text("{")
    with pytest.raises(UserError, match=r"card\.json is corrupted"):
        run.read_json(run.card_file)


def test_metrics_forget_what_a_kill_cut_off_and_what_comes_again(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.metrics() == []
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    with run.metrics_file.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [record["step"] for record in run.metrics()] == [1, 2, 3]
    run.truncate_metrics(2)
    assert run.metrics_file.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_an_atomic_write_replaces_all_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    (tmp_path / ".file.tmp").write_bytes(b"left by a killed process")
    atomic_write(file, b"new")
    assert file.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_really_full_disk(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a file system")
    try:
        file = tmp_path / "file"
        atomic_write(file, b"old" * 10_000)
        with pytest.raises(UserError, match="No space left on device; what was saved before is intact"):
            atomic_write(file, b"new" * 100_000)
        assert file.read_bytes() == b"old" * 10_000
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
