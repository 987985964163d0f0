"""What a person waits for: the start of a program, a report; and the memory of a run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eval.speed.timing import Row

POLL = 0.1
"""Seconds between two looks at the memory."""
_RUN = ["-m", "autonomy.train", "env=kitchen-mixed", "training.steps=100"]


def measure(batch: int, repeats: int) -> list[Row]:
    """The default training, with fewer steps, evaluation and report; `batch` is not read."""
    start = statistics.median(_seconds("-m", "autonomy.train", "--help") for _ in range(repeats))
    torch = statistics.median(_seconds("-c", "import torch") for _ in range(repeats))
    with tempfile.TemporaryDirectory() as folder:
        run = f"run={Path(folder) / 'run'}"
        started = time.perf_counter()
        memory = _peak_memory([*_RUN, run])
        whole = time.perf_counter() - started
        report = statistics.median(_seconds("-m", "eval.report", run) for _ in range(repeats))
    note = f"{memory / 2**30:.2f} GiB at most, of all its processes together"
    return [
        Row("autonomy.train --help", start, torch, "import torch"),
        Row("eval.report", report, None, "-"),
        Row("autonomy.train with 100 steps, evaluation and report", whole, None, "-", note=note),
    ]


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def _peak_memory(arguments: list[str]) -> int:
    """Bytes that a program and its children hold at most, shared pages counted once (Linux only: 0 elsewhere)."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_memory, _family(process.pid))))
        time.sleep(POLL)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return peak


def _family(pid: int) -> list[int]:
    """The process and all its descendants that still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(child))]


def _memory(pid: int) -> int:
    """Bytes of a process, each shared page divided by the number of its users."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
