"""Trials with a person, the logbook of a session, and the cockpit that holds both, without a page."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from autonomy.assistants.zero import ZeroAssistant
from autonomy.types import UserError
from eval.cockpit.logbook import Entry, Logbook
from eval.cockpit.panel import summary
from eval.cockpit.serve import compose_cockpit, make, serving
from eval.cockpit.session import Snapshot
from eval.cockpit.trial import ASKING, DRIVING, OVER, READY, SCALES, Trial, plan
from eval.episodes import read_episodes
from tests.cockpit import eventually
from tests.conftest import Program

RATINGS = dict.fromkeys(SCALES, 30.0)


def entry(seed: int = 3, reward: float = 1.0) -> Entry:
    found = Entry(seed, "mac", (1, 0), np.zeros(2), np.zeros(2), steps=5, reward=reward)
    found.ms = [1.0, 3.0]
    return found


def shot(step: int, executed: list[float], seed: int = 3, problem: str = "", ended: bool = False) -> Snapshot:
    action, held = np.array(executed, np.float32), np.array([True, False])
    operator = np.where(held, np.float32(0.5), np.float32(0))
    return Snapshot(
        step, seed, np.zeros(4, np.float32), np.zeros(30), held, operator, action, action, problem, 2.0,
        float(step > 2), ("kettle",) if step > 2 else (), ended, np.zeros(2, np.bool_), ZeroAssistant(),
    )  # fmt: skip


def test_a_plan_is_balanced_and_paired_and_its_order_a_coin() -> None:
    legs = plan(10, seed=7)
    assert Counter(leg.seed for leg in legs) == dict.fromkeys(range(7, 17), 2)
    pairs = [(legs[i].assisted, legs[i + 1].assisted) for i in range(0, 20, 2)]
    assert Counter(pairs) == {(True, False): 5, (False, True): 5}
    assert legs == plan(10, seed=7)
    assert [leg.assisted for leg in legs] != [leg.assisted for leg in plan(10, seed=8)]


def test_a_trial_keeps_each_answer_and_goes_on_where_it_was_left(tmp_path: Path) -> None:
    trial = Trial(2, 3, tmp_path, "mac", "base")
    assert trial.report() == "no pair of episodes is complete yet"
    for state in (DRIVING, ASKING):
        (trial.began if state == DRIVING else trial.ended)()
        assert trial.state == state
        assert "ssist" not in trial.words()
    with pytest.raises(UserError, match="effort must be a number of at least 0 and at most 100, got 101"):
        trial.answer({**RATINGS, "effort": 101}, entry())
    with pytest.raises(UserError, match="frustration must be a number"):
        trial.answer({scale: 1.0 for scale in SCALES if scale != "frustration"}, entry())
    assert not trial.records
    trial.answer({**RATINGS, "effort": 90}, entry())
    again = Trial(2, 3, tmp_path, "mac", "base")
    assert (again.state, again.leg) == (READY, trial.legs[1])
    assert [record.workload for record in again.records] == [40.0]
    for seed, reward in ((3, 2.0), (4, 3.0), (4, 1.0)):
        again.answer(RATINGS, entry(seed, reward))
    assert again.state == OVER
    assert len(read_episodes(tmp_path / "episodes.jsonl")) == 4
    for other in (("bc", "base"), ("mac", "wrist")):
        with pytest.raises(UserError, match=r"holds another trial; give another out="):
            Trial(2, 3, tmp_path, *other)


def test_a_trial_s_report_compares_within_pairs(tmp_path: Path) -> None:
    trial = Trial(3, 0, tmp_path, "mac", "base")
    for leg in list(trial.legs):
        trial.answer(dict.fromkeys(SCALES, 20.0 + leg.seed + 40 * (not leg.assisted)), entry(reward=2.0 * leg.assisted))
    text = trial.report()
    assert "assisted minus unassisted, 3 pairs:" in text
    assert "reward +2.00" in text
    assert "workload -40.00" in text


def test_the_logbook_counts_who_moved_how_much() -> None:
    book = Logbook(0.08)
    for one in (shot(1, [0.5, -0.5]), shot(2, [0.25, 0.25], problem="silent"), shot(3, [0.5, 0.0], ended=True)):
        book.add(one, "mac")
    book.add(shot(3, [0.5, 0.0], ended=True), "mac")
    book.add(shot(1, [0.0, 0.0], seed=9), "bc")
    first, second = book.entries
    assert (first.steps, first.reward, first.completed, first.refused) == (3, 1.0, ("kettle",), 1)
    assert first.share == pytest.approx(1.25 / 2.0)
    assert first.overruled == pytest.approx(0.25)
    assert (second.seed, second.assistant_name, second.steps, second.share) == (9, "bc", 1, 0.0)
    page = summary(book, ["autonomy/cockpit/x"])
    for text in ("kettle", "62%", "recorded: autonomy/cockpit/x", "<td"):
        assert text in page


def test_the_kitchen_waits_for_the_first_to_come(smoke: tuple[Path, Path]) -> None:
    cockpit = make(compose_cockpit([f"run={smoke[0]}", "seed=5"]))
    cockpit.loop.start()
    time.sleep(0.4)
    assert cockpit.latest is None
    cockpit.join(1)
    eventually(lambda: cockpit.latest)
    cockpit.loop.stop()
    assert cockpit.loop.error is None


def test_a_paused_cockpit_rests_and_hears_what_is_chosen(
    smoke: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    cockpit = make(compose_cockpit([f"run={smoke[0]}"]))
    cockpit.join(1)
    cockpit.loop.start()
    eventually(lambda: cockpit.latest)
    cockpit.finish()
    last = cockpit.latest
    cockpit.choose("channels", "wrist")
    eventually(lambda: cockpit.session.mask.tolist() == [4 <= i < 7 for i in range(9)])
    assert cockpit.latest is last
    assert len(cockpit.saved) == 1
    cockpit.paused = False
    eventually(lambda: cockpit.latest is not last and cockpit.latest.step > 1)  # type: ignore[union-attr]
    cockpit.finish()
    cockpit.loop.stop()
    cockpit.save()
    assert cockpit.loop.error is None
    assert len(cockpit.saved) == len(cockpit.logbook.entries) == 2


def test_what_is_left_behind_by_another_noise_is_saved_too(
    smoke: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    cockpit = make(compose_cockpit([f"run={smoke[0]}"]))
    cockpit.join(1)
    cockpit.loop.start()
    seen: set[int] = set()
    for noise in ("d4rl", "v1", None):
        eventually(lambda: cockpit.latest and cockpit.latest.seed not in seen)
        seen.add(cockpit.latest.seed)  # type: ignore[union-attr]
        if noise:
            cockpit.choose("noise", noise)
    cockpit.loop.stop()
    cockpit.save()
    assert cockpit.loop.error is None
    assert len(set(cockpit.saved)) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["host=0.0.0.0"], "host=0.0.0.0 can be reached from other machines: give a token=..., or use 127.0.0.1"),
        (["host=0.0.0.0", "token=short"], "token must have at least 8 characters"),
        (["host=there"], "host must be an address such as 127.0.0.1, got 'there'"),
        (["trial=abc"], "unknown trial 'abc'; the valid ones are ab"),
        (["trial=ab", "pairs=0"], "pairs must be a whole number of at least 1"),
        (["precision=int4"], "unknown precision 'int4'"),
        (["device=demonstrator", "steering=hand"], "the demonstrator moves joints"),
    ],
)
def test_wrong_options_are_one_sentence(
    options: list[str], words: str, smoke: tuple[Path, Path], program: Program
) -> None:
    done = program("eval.cockpit", f"run={smoke[0]}", *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_in_the_drawing_ends_the_program(
    smoke: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def broken(_: Snapshot) -> None:
        raise ValueError("no such colour")

    def drive() -> None:
        with serving(compose_cockpit([f"run={smoke[0]}", "port=0"])) as (cockpit, page):
            monkeypatch.setattr(page, "_draw", broken)
            cockpit.join(1)
            eventually(lambda: page.error)

    with pytest.raises(ValueError, match="no such colour"):
        drive()
