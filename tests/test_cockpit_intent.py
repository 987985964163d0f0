"""The cockpit without a browser: telling and vetoing tasks, and dimensions that change hands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import minari
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autonomy.checkpoint import load_assistant
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from eval.cockpit.bars import caption
from eval.cockpit.devices import DeadMan
from eval.cockpit.handover import DEFAULT_STEP, LEAST_STEP, Handover, action_steps
from eval.cockpit.insight import Onlooker
from eval.cockpit.session import Session, Snapshot
from eval.cockpit.wishes import Belief, Wishes
from tests.cockpit import DIM, Given, Watch, believing_run, recorder, session_of

TASKS = ("microwave", "kettle", "light switch")
LIMIT = 0.2
FREE = np.zeros(2, np.bool_)


class Memory(NamedTuple):
    belief: NDArray[np.float64]
    intent: NDArray[np.int64]


class Believer:
    """Goes a way of its own for each of its tasks, and takes the one whose way the operator's first value is nearest to
    for the one that is meant, unless it is told; `heard` are the observations."""

    intents = TASKS
    ways = np.array([-0.9, 0.0, 0.9, 0.3], np.float32)

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def predict(self, observation: Any, state: Any = None, start: Any = None, deterministic: bool = True) -> Any:
        self.heard.append(observation)
        held, operator = observation["operator_mask"] > 0, observation["operator_action"]
        weights = np.exp(-4 * np.abs(self.ways - operator[:, :1])) if held.any() else np.ones((1, 4))
        weights *= np.ones((1, 4)) if state is None else state.belief + 0.05
        weights[:, :-1] *= ~observation["veto"]
        told = int(observation["intent"][0])
        belief = np.eye(4)[[told]] if told >= 0 else weights / weights.sum()
        chosen = belief.argmax(1)
        return np.where(held, operator, self.ways[chosen, None]), Memory(belief, chosen)


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def session(values: float = 0.0, holder: Any = lambda: "anna", **options: Any) -> tuple[Session, Given]:
    device = Given(np.full(DIM, values, np.float32))
    pilot = DeadMan(device, DIM, holder, Watch())
    kept = recorder(("bottom burner", *TASKS), **options)
    return session_of(kept, Believer(), pilot, np.full(DIM, LIMIT, np.float32)), device


def belief_of(shot: Snapshot) -> Belief:
    assert shot.belief is not None
    return shot.belief


def step(shots: list[Snapshot]) -> float:
    """The largest one of the executed action."""
    return float(np.abs(np.diff([shot.executed for shot in shots], axis=0)).max())


def test_a_dimension_walks_to_its_new_hands_and_is_free_again() -> None:
    walk = Handover(np.array([0.25, 0.25], np.float32))
    value = np.float32(0.1)
    assert walk.follow(np.array([value, -1], np.float32), ["a", "a"], FREE)[0] == value
    assert walk.follow(np.array([1, 1], np.float32), ["a", "a"], FREE).tolist() == [1, 1], "the same hands may jump"
    way = [walk.follow(np.array([1, 0.3], np.float32), ["a", "b"], FREE).tolist() for _ in range(3)]
    assert np.allclose(way, [[1, 0.75], [1, 0.5], [1, 0.3]])
    assert not walk.walking.any()
    assert walk.follow(np.array([-1, -1], np.float32), ["a", "b"], FREE).tolist() == [-1, -1], "it had caught up"


def test_a_walk_follows_what_moves_away_and_a_fault_ends_it() -> None:
    walk, stopped = Handover(np.array([0.5, 0.5], np.float32)), np.array([True, False])
    walk.follow(np.array([1, 1], np.float32), ["a", "a"], FREE)
    assert walk.follow(np.array([-1, -1], np.float32), ["b", "b"], FREE).tolist() == [0.5, 0.5]
    assert walk.follow(np.array([0, -1], np.float32), ["x", "b"], stopped).tolist() == [0, 0]
    assert walk.follow(np.array([1, -1], np.float32), ["b", "b"], FREE).tolist() == [0.5, -0.5]
    walk.reset()
    assert walk.follow(np.array([1, -1], np.float32), ["c", "c"], FREE).tolist() == [1, -1]


def test_limits_are_the_run_s(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert action_steps(run, 2).tolist() == pytest.approx([DEFAULT_STEP] * 2)
    for steps, found in (([0.5, 0.0], [0.5, LEAST_STEP]), (None, [DEFAULT_STEP] * 2)):
        run.write_json(run.card_file, {"action_steps": steps})
        assert action_steps(run, 2).tolist() == pytest.approx(found)
    for broken in ([0.5], 0.5, [0.5, "far"]):
        run.card_file.write_text(json.dumps({"action_steps": broken}))
        with pytest.raises(UserError, match="action_steps"):
            action_steps(run, 2)


def test_a_task_is_told_then_vetoed_then_neither() -> None:
    wishes = Wishes(TASKS)
    wishes.press("kettle")
    assert (wishes.told, wishes.vetoed.tolist()) == (1, [False] * 3)
    wishes.press("microwave")
    assert (wishes.told, wishes.vetoed.tolist()) == (0, [False] * 3), "one is told"
    wishes.press("microwave")
    wishes.press("kettle")
    assert (wishes.told, wishes.vetoed.tolist()) == (1, [True, False, False])
    assert wishes.observed()["intent"].tolist() == [1]
    assert wishes.observed()["veto"].tolist() == [[True, False, False]]
    wishes.forget(["microwave"])
    assert wishes.told == 1
    wishes.forget(["microwave", "kettle"])
    assert wishes.told == -1
    wishes.press("microwave")
    assert wishes.observed()["veto"].tolist() == [[False] * 3]
    with pytest.raises(UserError, match="unknown task 'cup'; the valid ones are microwave, kettle, light switch"):
        wishes.press("cup")


def test_what_is_told_is_heard_and_shown() -> None:
    drive, _ = session(-0.9)
    shot = drive.tick()
    assert belief_of(shot).committed == 0
    assert caption(belief_of(shot), 0).endswith("%, the assistant helps with it")
    drive.copilot.wishes.press("light switch")
    drive.copilot.wishes.press("kettle")
    shot = drive.tick()
    assert (belief_of(shot).told, belief_of(shot).committed) == (1, 1)
    assert caption(belief_of(shot), 1) == "kettle 100%, told, the assistant helps with it"
    drive.copilot.wishes.press("kettle")
    shot = drive.tick()
    assert belief_of(shot).shares[1] == 0
    assert caption(belief_of(shot), 1) == "kettle 0%, vetoed"
    drive.reset(5)
    assert belief_of(drive.tick()).vetoed.tolist() == [False] * 3


def test_the_belief_hears_the_operator_in_every_arbitration() -> None:
    for arbitration in ("dims", "blend", "off"):
        drive, _ = session(0.9)
        drive.arbitrate(arbitration, 0.5)
        shot = [drive.tick() for _ in range(3)][-1]
        assert belief_of(shot).committed == 2
        assert shot.assistant[-1] == np.float32(0.9)
        assert shot.executed[-1] == (0 if arbitration == "off" else np.float32(0.9))


def test_nothing_jumps_whatever_changes_hands() -> None:
    holder = ["anna"]
    drive, device = session(-0.9, lambda: holder[0] or None)
    first = [drive.tick() for _ in range(2)]
    assert step(first) == 0

    def changed(act: Any, *arguments: Any) -> None:
        before = drive.tick()
        act(*arguments)
        shots = [before, *(drive.tick() for _ in range(12))]
        assert LIMIT - 1e-6 < step(shots) <= LIMIT + 1e-6
        assert shots[1].walking.any()
        assert not shots[-1].walking.any()
        held = shots[-1].mask
        if drive.arbitration == "dims" and holder[0]:
            assert np.array_equal(shots[-1].executed[held], shots[-1].operator[held])

    changed(drive.copilot.wishes.press, "light switch")
    changed(setattr, drive, "mask", np.arange(DIM) >= 5)
    changed(drive.arbitrate, "blend", 0.1)
    changed(drive.arbitrate, "dims")
    changed(drive.arbitrate, "off")
    changed(drive.arbitrate, "dims")

    def take(name: str, value: float) -> None:
        holder[0], device.values = name, np.full(DIM, value, np.float32)

    changed(take, "berta", 0.8)
    changed(take, "", 0.8)
    changed(take, "anna", 0.8)
    changed(drive.use, Believer(), np.full(DIM, LIMIT, np.float32))


def test_what_the_same_hands_do_is_not_limited() -> None:
    drive, device = session(-0.9)
    shots = [drive.tick()]
    drive.copilot.wishes.press("microwave")
    device.values = np.full(DIM, 0.9, np.float32)
    shots.append(drive.tick())
    assert np.array_equal(shots[-1].executed[:3], shots[-1].operator[:3])
    assert step(shots) > 1


@pytest.mark.parametrize("select", ["mean", "sample"])
def test_a_look_advances_neither_memory_nor_draws(select: str, tmp_path: Path) -> None:
    assistant = load_assistant(believing_run(tmp_path / "run", LIMIT))
    assistant.policy.select = select  # type: ignore[attr-defined]
    drive, _ = session(0.5)
    drive.use(assistant, drive.handover.limits)
    shots = [drive.tick() for _ in range(2)]
    draws = assistant.policy._generator.get_state()  # type: ignore[attr-defined]
    onlooker, kept = Onlooker(), belief_of(shots[-1]).shares.copy()
    seen = [onlooker.look(shot) for shot in shots]
    assert torch.equal(assistant.policy._generator.get_state(), draws)  # type: ignore[attr-defined]
    assert np.array_equal(belief_of(shots[-1]).shares, kept)
    for shot, insight in zip(shots, seen, strict=True):
        index = belief_of(shot).likeliest
        assert insight.task == belief_of(shot).title(index)
        parts = (torch.from_numpy(part[None]) for part in (shot.state, shot.operator, shot.mask))
        score = assistant.intent_score(*parts, torch.tensor([index]))  # type: ignore[attr-defined]
        assert insight.score == pytest.approx(float(score.detach()))
        assert insight.bands is not None
        assert (np.diff(insight.bands[:, ~shot.mask], axis=0) > 0).all()
    drive.copilot.wishes.press("kettle")
    told = onlooker.look(drive.tick())
    other = onlooker.look(drive.tick())
    assert told.task == other.task == "kettle"


def test_a_recording_has_the_belief_and_who_was_handed_over() -> None:
    drive, _ = session(-0.9)
    shots = [drive.tick()]
    drive.copilot.wishes.press("light switch")
    drive.copilot.wishes.press("kettle")
    drive.copilot.wishes.press("kettle")
    shots += [drive.tick() for _ in range(2)]
    drive.copilot.wishes.press("light switch")
    shots += [drive.tick() for _ in range(2)]
    name = drive.recorder.save()
    assert name is not None
    data = minari.load_dataset(name)
    infos = next(data.iterate_episodes()).infos
    belief, told = infos["belief"][1:], infos["told"][1:]
    assert np.isnan(belief[:, 0]).all(), "of a task that this assistant does not know"
    assert np.array_equal(belief[:, 1:], [belief_of(shot).shares for shot in shots])
    assert told.tolist() == [-1, -1, -1, 3, 3]
    assert infos["vetoed"][1:].tolist() == [[0] * 4, *[[0, 0, 1, 0]] * 4]
    assert infos["committed"][1:].tolist() == [belief_of(shot).committed + 1 for shot in shots]
    assert np.array_equal(infos["handed_over"][1:], [shot.walking for shot in shots])
    assert infos["handed_over"][4].any()
    (metadata,) = data.storage.get_episode_metadata([0])
    assert json.loads(metadata["intents"]) == ["bottom burner", *TASKS]
