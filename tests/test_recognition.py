"""How soon a belief finds the operator's task: on courses whose answers are known, and in episodes that are played."""

from __future__ import annotations

import dataclasses
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autonomy.assistants.zero import ZeroAssistant
from autonomy.types import UserError
from eval.episodes import Tally, read_episodes, summarise, table, write_episodes
from eval.figures import belief_over_time
from eval.play import play
from eval.recognition import FLOOR, UNKNOWN, Belief, Course, Witness
from eval.setting import Setting
from eval.settings import compose_rollout, setting_of
from eval.trace import read_trace, write_trace
from tests.believers import TASKS, Believer, State


def course(shares: list[float], truths: list[int], committed: list[int] | None = None) -> Course:
    """Of one intent and none of them; `shares` are those of the intent."""
    beliefs = np.stack([np.array(shares), 1 - np.array(shares)], axis=1)
    return Course(("kettle",), beliefs, np.array(committed or truths), np.array(truths))


def test_steps_are_counted_in_every_stretch_of_one_truth() -> None:
    known = course([0.2, 0.5, 0.6, 0.9, 0.1, 0.9], [0, 0, 0, 1, 1, UNKNOWN], [1, 0, 0, 0, 1, 0])
    assert [tuple(stretch) for stretch in known.stretches] == [(0, 0, 3, 2, 1), (1, 3, 5, 1, 1)]
    assert known.steps_to_recognise == 1.5
    assert known.right == pytest.approx(3 / 5)
    assert known.log_score == pytest.approx(np.log([0.2, 0.5, 0.6, 0.1, 0.9]).mean())


def test_what_is_never_recognised_counts_with_its_length_and_zero_is_floored() -> None:
    blind = course([0.0, 0.0, 0.0, 0.0], [0, 0, 0, 0])
    assert (blind.steps_to_recognise, blind.stretches[0].seen) == (4, False)
    assert blind.log_score == pytest.approx(np.log(FLOOR))
    nobody = course([0.5], [UNKNOWN])
    assert (nobody.right, nobody.log_score, nobody.steps_to_recognise) == (None, None, None)


def test_the_witness_takes_a_task_for_pursued_in_the_step_that_completes_it() -> None:
    witness, state = Witness(Believer()), State(np.full((1, 5), 0.2), np.array([3]), np.array([0]))
    plan, seen = ("sink", "kettle"), []
    for completed, ended in (((), False), (("sink",), False), (("sink",), True), ((), False)):
        info = {"intent": plan, "completed": completed}
        witness.note(state, [info], np.array([ended]))
        seen.append(info["belief"].truth)
    assert seen == [4, 4, TASKS.index("kettle"), 4]  # the last one is the next episode's first step
    silent = {"intent": plan, "completed": ()}
    witness.note(None, [silent], np.array([False]))
    assert "belief" not in silent


def setting(assistant: dict[str, Any], *overrides: str, steps: int = 12) -> Setting:
    env = compose_rollout(["run=zero", "env=kitchen-mixed"]).env
    env.max_episode_steps = steps
    alone = setting_of("zero", list(overrides) or ["operator=expert", "operator.order=[kettle]"], env)
    return dataclasses.replace(alone, name="mac", assistant=partial(Believer, **assistant))


def test_records_say_how_soon_the_task_was_recognised(tmp_path: Path) -> None:
    late, wrong = play(setting({"late": 5}), [1], 2)[0], play(setting({"sure": "microwave"}), [1], 1)[0]
    assert (late.belief_right, late.steps_to_recognise, late.pursued) == (1.0, 5.0, (("kettle", 12, 5),))
    assert late.belief_log_score == pytest.approx((5 * np.log(0.4) + 7 * np.log(0.6)) / 12)
    assert (wrong.belief_right, wrong.pursued) == (0.0, (("kettle", 12, 12),))
    nobody = play(setting({}, "operator=zero", "channels=none"), [1], 1)[0]
    assert (nobody.belief_right, nobody.pursued) == (None, None)
    write_episodes(tmp_path / "episodes.jsonl", [late, nobody])
    assert read_episodes(tmp_path / "episodes.jsonl") == [late, nobody]
    shared, alone = summarise([late, wrong], {"tasks": TASKS}), summarise([nobody], {"tasks": TASKS})
    assert (shared["belief_right"]["mean"], shared["steps_to_recognise"]["mean"]) == (0.5, 8.5)
    assert "right task" in table([alone, shared])
    assert "right task" not in table([alone])


def test_who_is_told_hears_the_operators_task() -> None:
    record = play(setting({"told": True}, "operator=expert", "operator.order=[microwave]", steps=3), [1], 1)[0]
    assert (record.belief_right, record.pursued) == (1.0, (("microwave", 3, 0),))


def test_a_tally_of_an_assistant_without_belief_has_none() -> None:
    info = {"operator_mask": np.array([True]), "completed": (), "intent": ("kettle",), "success": False}
    tally = Tally()
    tally.add(0.0, info, 1.0)
    assert tally.record(info, ("bc", "expert", "base"), 0).belief_right is None


def test_a_trace_is_what_was_believed_in_the_filmed_episode(tmp_path: Path) -> None:
    path = write_trace(setting({"late": 5}), 1, tmp_path)
    assert path == tmp_path / "belief.json"
    trace = read_trace(path)
    assert (trace.assistant, trace.operator, trace.channels, trace.seed) == ("mac", "expert", "shoulder", 1)
    assert trace.course.beliefs[[4, 5], 1].tolist() == [0.4, 0.6]
    assert trace.course.steps_to_recognise == 5
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "truths": values["truths"][1:]}))
    with pytest.raises(UserError, match="no belief over an episode"):
        read_trace(path)
    silent = dataclasses.replace(setting({}), assistant=ZeroAssistant)
    assert write_trace(silent, 1, tmp_path / "nowhere") is None


def test_the_bands_have_the_height_of_the_belief() -> None:
    """The first intent's band is green; its area is its share of the belief."""

    def green(share: float) -> int:
        infos = [{"belief": Belief(TASKS, _shares(share), 3, UNKNOWN), "completed": ()}] * 20
        found = Course.of(infos)
        assert found is not None
        pixels = np.asarray(Image.open(io.BytesIO(belief_over_time(found))).convert("RGB")).astype(int)
        return int((abs(pixels - (0x4C, 0x9F, 0x70)).sum(-1) < 30).sum())

    legend = green(0.0)
    assert (green(0.8) - legend) == pytest.approx(2 * (green(0.4) - legend), rel=0.02)


def _shares(first: float) -> np.ndarray:
    return np.array([first, 0, 0, 0, 1 - first])
