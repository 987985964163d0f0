"""`python -m eval.speed`: ratios of candidates that take turns, against things that give the same answer."""

from __future__ import annotations

import importlib
import re
import sys
import time
from pathlib import Path

import pytest
import torch

from autonomy.types import UserError
from eval.speed import decisions, kitchens, masks, programs, recording, training
from eval.speed.__main__ import by_name
from eval.speed.timing import Row, matrix_rate, medians
from tests.assistants import mac
from tests.conftest import Program


def test_candidates_take_turns_and_medians_are_kept() -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.02)

    quick, other = medians([lambda: calls.append("quick"), slow], 3)
    assert calls == ["quick", "slow"] * 4
    assert other > 0.02 > quick


def test_a_row_says_how_much_faster_and_how_far_from_the_limit() -> None:
    cells = Row("work", 0.5, 60.0, "the plain way", 0.25, "arithmetic").cells()
    assert cells == ["work", "500", "60,000", "the plain way", "120x", "250", "arithmetic", "2.00", "-"]
    assert Row("work", 0.002, 0.003, "other").cells()[4:] == ["1.50x", "-", "-", "-", "-"]
    assert Row("work", 0.002, None, "-", note="x").cells()[2:] == ["-", "-", "-", "-", "-", "-", "x"]


def test_words_are_rows_and_what_follows_has_the_last_word() -> None:
    assert by_name(["cockpit", "repeats=3", "masks"]) == ["rows=[cockpit,masks]", "repeats=3"]
    assert by_name(["rows=[masks]", "--help", "cokpit"]) == ["rows=[masks]", "--help", "cokpit"]


def test_the_rate_of_matrix_products_is_plausible() -> None:
    torch.set_num_threads(1)
    assert 1e8 < matrix_rate(64, 64, 1) < 1e13


def test_the_program_prints_its_table(program: Program, tmp_path: Path) -> None:
    done = program(
        "eval.speed",
        "rows=[masks,log-prob]",
        "batch=8",
        "repeats=1",
        "threads=1",
        f"out={tmp_path / 'new' / 'speed.md'}",
    )
    assert done.returncode == 0, done.stderr
    for start in (
        "8 training masks, D = 9",
        "8 training masks, D = 784",
        "log_prob of 8 joint",
        "log_prob of 8 marginals",
    ):
        assert re.search(rf"^\| {start}.*x \|", done.stdout, re.MULTILINE), start
    assert "torch 2" in done.stdout
    assert (tmp_path / "new" / "speed.md").read_text().strip() == done.stdout.strip()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("rows=[fast]", "unknown row 'fast'; the valid ones are masks, log-prob"),
        ("rows=[]", "rows must be a list of one or more of masks, log-prob"),
        ("batch=0", "batch must be a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_sentence(
    argument: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.speed", argument])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("eval.speed.__main__").run()
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_listing_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"the published listing needs some \d+ GiB at this batch"):
        masks.measure(10_000_000, 1)


def test_kitchens_are_measured_beside_their_peers_and_the_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kitchens, "N", 2)
    rows = kitchens.measure(1, 1)
    assert [row.plain_is for row in rows] == ["SB3's DummyVecEnv", "SB3's SubprocVecEnv"]
    assert all(row.limit and 0.5 * row.limit < row.ours < 10 * row.limit for row in rows)


def test_decisions_are_measured_idle_and_beside_a_busy_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "SIZES", {"paper": (64, 2), "small": (32, 2)})
    torch.set_num_threads(1)
    rows = decisions.measure(1, 1)
    assert [row.what.split(", threads")[0] for row in rows] == [
        "a decision, paper, int8",
        "a decision, paper",
        "a decision, small",
        "a decision, small, belief, members: 1",
        "a decision, small, belief, members: 2",
        "a decision, small, belief, members: 4",
        "a decision, paper, int8, belief",
    ]
    assert all(re.match(r"p99 \S+ ms; \S+ ms beside a busy process; the period is 80 ms", row.note) for row in rows)
    assert [row.plain is None for row in rows] == [False, True, True, False, False, False, True]


def test_a_training_step_is_measured_beside_its_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SIZES", {"tiny": (32, 2, 16)})
    rows = training.measure(1, 2)
    assert [row.what.split(", ")[-1] for row in rows] == ["float32", "bfloat16"]
    assert all(row.limit and row.ours > row.limit for row in rows)
    model = mac(sizes=(30, 9), width=32, components=20)
    layers = 48 * 32 + 2 * 32 * 32 + 32 * 540
    assert training._operations(model, 16) == 16 * (6 * layers - 2 * 48 * 32)


def test_recording_is_measured_beside_its_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "EPISODES", 1)
    (row,) = recording.measure(1, 1)
    assert row.limit
    assert 0.2 < row.limit / row.ours < 1


def test_memory_is_that_of_a_program_and_its_children() -> None:
    child = "import time; x = b'1' * 150_000_000; time.sleep(1.5)"
    parent = f"import subprocess, sys; x = b'1' * 100_000_000; subprocess.run([sys.executable, '-c', {child!r}])"
    assert 250e6 < programs._peak_memory(["-c", parent]) < 350e6
    with pytest.raises(RuntimeError, match="exit code 3"):
        programs._peak_memory(["-c", "raise SystemExit(3)"])
