"""`python -m autonomy.data`: the card on stdout, or one sentence on stderr and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.data_files import d4rl_arrays, write_hdf5

ROOT = Path(__file__).resolve().parents[1]


def _run(*overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autonomy.data", *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_one_file_and_a_list_of_files(tmp_path: Path) -> None:
    files = [write_hdf5(tmp_path / name, d4rl_arrays([("kettle",), ("microwave",)])) for name in ("a.hdf5", "b.hdf5")]
    one = _run("data=d4rl", f"data.path={files[0]}")
    assert one.returncode == 0, one.stderr
    assert "episodes      2\ntransitions   18\n" in one.stdout
    two = _run("data=d4rl", f"data.path=[{files[0]},{files[1]}]")
    assert two.returncode == 0, two.stderr
    assert "hdf5: a.hdf5, b.hdf5" in two.stdout
    assert "episodes      4\ntransitions   36\n" in two.stdout


def test_bad_data_end_in_one_sentence(tmp_path: Path) -> None:
    arrays = d4rl_arrays([("kettle",)])
    arrays["actions"][2, 3] = np.nan
    program = _run("data=d4rl", f"data.path={write_hdf5(tmp_path / 'a.hdf5', arrays)}")
    assert program.returncode == 2
    assert program.stdout == ""
    assert "action nan in row 2, dimension 3; valid actions are finite numbers between -1 and 1" in program.stderr
    assert "Traceback" not in program.stderr
