"""Habits of people: an expert that changes its mind, and one that pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autonomy.channels import FixedChannels
from autonomy.types import Array, Mask, Operator, UserError
from envs.habits import Habit, Hesitant, Planner, Wandering
from envs.imperfections import DropOut, Noisy
from envs.kitchen.expert import Expert
from envs.kitchen.operator import ExpertOperator
from envs.kitchen.tasks import TASK_SETS
from envs.kitchen.world import make_kitchens
from envs.operators import ZeroOperator
from envs.shared_control import SharedControl
from tests.operators import DIM, HELD

TASKS = TASK_SETS["mixed"]


class Room:
    """A simulator that says only what is completed."""

    def __init__(self, completed: tuple[str, ...] = ()) -> None:
        self.completed = completed


class Worker(Operator):
    """Works `patience` steps at each task of its plan, commanding 1, and remembers how it was led."""

    name = "worker"

    def __init__(self, patience: int = 10**9) -> None:
        self.patience = patience
        self.turns: list[str] = []

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self.plan, self.worked, self.paused = list(TASKS), 0, False

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        command, self.paused = float(not self.paused), False
        self.worked += int(command)
        return np.full((1, DIM), command, np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return tuple(self.plan)

    def task(self, index: int) -> str | None:
        at = self.worked // self.patience
        return self.plan[at] if at < len(self.plan) else None

    def turn_to(self, index: int, task: str) -> None:
        now, later = self.worked // self.patience, self.plan.index(task)
        assert later > now
        self.plan[now], self.plan[later] = self.plan[later], self.plan[now]
        self.turns.append(task)

    def pause(self, index: int) -> None:
        self.paused = True


def lead(habit: Habit, steps: int, room: Room | None = None, seed: int = 0) -> list[bool]:
    """At which of `steps` steps it moved."""
    habit.reset(0, np.random.default_rng(seed), HELD)
    here = np.zeros((1, 4), np.float32)
    return [bool(habit.act(here, [room or Room()])[0, 0]) for _ in range(steps)]


def test_it_changes_its_mind_at_its_rate_and_for_any_open_task() -> None:
    worker = Worker()
    lead(Wandering(worker, 0.1), 6000)
    assert abs(len(worker.turns) / 6000 - 0.1) < 4 * np.sqrt(0.09 / 6000)
    _, counts = np.unique(worker.turns, return_counts=True)
    assert len(counts) == 4
    assert counts.min() > 0.2 * len(worker.turns)


def test_it_does_not_turn_to_what_is_completed_nor_from_it() -> None:
    worker = Worker()
    lead(Wandering(worker, 0.5), 200, Room(TASKS[1:3]))
    assert set(worker.turns) == {TASKS[0], TASKS[3]}
    for completed in (TASKS[1:], TASKS[:1]):  # the last open task; a completed one that it only has to leave
        worker = Worker()
        lead(Wandering(worker, 1.0), 20, Room(completed))
        assert worker.turns == []


def test_a_plan_worked_through_is_not_changed() -> None:
    worker = Worker(patience=1)
    lead(Wandering(worker, 1.0), 10)
    assert len(worker.turns) <= 3
    assert sorted(worker.plan) == sorted(TASKS)


def test_it_pauses_when_it_comes_to_a_task() -> None:
    moved = lead(Hesitant(Worker(patience=3), p=0.0, p_task=1.0, spell=2), 24)
    assert moved == [*([False] * 2 + [True] * 3) * 4, *[True] * 4]  # the script waits for it


def test_it_pauses_at_its_rate() -> None:
    moved = np.array(lead(Hesitant(Worker(), p=0.05, p_task=0.0, spell=7), 4000))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], moved, [True]]).astype(int)))
    lengths = (edges[1::2] - edges[::2])[:-1]
    assert (lengths % 7 == 0).all()
    begun, chances = lengths.sum() / 7, moved.sum() + lengths.sum() / 7
    assert abs(begun / chances - 0.05) < 4 * np.sqrt(0.05 * 0.95 / chances)


def test_a_new_episode_forgets_the_last_one() -> None:
    habit = Hesitant(Wandering(Worker(patience=30), 0.05), 0.05, spell=9)
    assert lead(habit, 100) == lead(habit, 100)
    assert lead(habit, 100) != lead(habit, 100, seed=1)


def play(operator: Operator, n: int, steps: int, seed: int = 1000) -> list[list[tuple[bytes, dict[str, Any]]]]:
    """What the operator commanded in each of `n` kitchens, in which it holds everything, and the infos."""
    world = SharedControl(make_kitchens(n), operator, FixedChannels(range(DIM), DIM))
    world.seed(seed)
    observation, stories = world.reset(), [[] for _ in range(n)]
    for _ in range(steps):
        commands = [row.tobytes() for row in observation["operator_action"]]
        observation, _, _, infos = world.step(np.zeros((n, DIM)))
        for story, command, info in zip(stories, commands, infos, strict=True):
            story.append((command, info))
    world.close()
    return stories


def commands(story: list[tuple[bytes, dict[str, Any]]]) -> list[bytes]:
    return [command for command, _ in story]


def test_without_the_habit_the_episode_is_the_experts() -> None:
    plain = commands(play(ExpertOperator(TASKS), 1, 40)[0])
    assert commands(play(Wandering(Hesitant(ExpertOperator(TASKS), 0.0, p_task=0.0), 0.0), 1, 40)[0]) == plain
    assert commands(play(Hesitant(ExpertOperator(TASKS), 0.0, p_task=1.0), 1, 40)[0]) != plain


def test_habits_do_not_depend_on_the_kitchens_beside_them() -> None:
    def make() -> Operator:
        return Noisy(Hesitant(Wandering(ExpertOperator(TASKS), 0.1), 0.05, spell=3), 0.1)

    few, many = play(make(), 1, 30), play(make(), 3, 30)
    assert commands(few[0]) == commands(many[0])
    assert commands(many[0]) != commands(many[1])


class Once(Wandering):
    """Changes its mind at one step, for the second task of its plan."""

    def __init__(self, step: int, order: Sequence[str]) -> None:
        super().__init__(ExpertOperator(TASKS, order=order, jitter=0.0, speed=1.0), 0.0)
        self._countdown, self._second = step, order[1]

    def _decide(self, index: int, simulator: Any) -> None:
        self._countdown -= 1
        if self._countdown == 0:
            self.turn_to(index, self._second)


@pytest.mark.parametrize(("first", "step"), [("kettle", 20), ("kettle", 5), ("microwave", 28), ("light switch", 22)])
def test_an_abandoned_task_is_left_safely_and_done_later(first: str, step: int) -> None:
    """At step 5 it is on its way; at the others it carries the kettle, pulls the door, presses the switch."""
    story = play(Once(step, (first, "bottom burner")), 1, 200)[0]
    infos = [info for _, info in story]
    assert infos[step - 3]["pursued"] == first
    assert first not in infos[step]["completed"]
    assert infos[step]["intent"] == ("bottom burner", first)
    assert infos[step]["pursued"] == "bottom burner"
    completed = max((info["completed"] for info in infos), key=len)
    assert completed == ("bottom burner", first)
    burned = next(info for info in infos if info["completed"])
    assert burned["pursued"] == first


def test_the_expert_refuses_to_turn_to_what_is_not_ahead() -> None:
    expert = Expert(TASKS[:2], np.random.default_rng(0))
    for task in (TASKS[0], TASKS[2]):
        with pytest.raises(ValueError, match="not in tuple"):
            expert.turn_to(task)
    expert.turn_to(TASKS[1])
    assert (expert.task, expert.order) == (TASKS[1], TASKS[1::-1])


def test_who_pauses_goes_on_where_it_was_and_who_drops_out_has_lost_steps() -> None:
    """The spell falls into the first approach, which lasts 45 steps at most."""
    ends = {}
    for kind in (Hesitant, DropOut):
        inner = ExpertOperator(TASKS, order=["kettle"], jitter=0.0)
        operator = Hesitant(inner, 0.0, p_task=1.0, spell=50) if kind is Hesitant else DropOut(inner, 1.0, spell=50)
        kitchens = make_kitchens(1)
        kitchens.seed(0)
        states = np.asarray(kitchens.reset())
        operator.reset(0, np.random.default_rng(0), HELD)
        for _ in range(50):
            assert not operator.act(states, kitchens.simulators).any()
        inner.act(states, kitchens.simulators)
        ends[kind] = inner._experts[0].activity
        kitchens.close()
    assert ends == {Hesitant: "kettle: approach", DropOut: "kettle: insert"}


@pytest.mark.parametrize("make", [lambda inner: Wandering(inner, 0.1), lambda inner: Hesitant(inner, 0.1)])
def test_only_a_planner_can_be_led(make: Callable[[Any], Habit]) -> None:
    assert isinstance(make(make(ExpertOperator(TASKS))), Planner)
    for operator in (ZeroOperator(DIM), Noisy(ExpertOperator(TASKS), 0.1)):
        with pytest.raises(UserError, match=f"must be round expert, wandering or hesitant, got '{operator.name}'"):
            make(operator)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_a_habits_chances_are_between_0_and_1(p: Any) -> None:
    expert = ExpertOperator(TASKS)
    for make in (lambda: Wandering(expert, p), lambda: Hesitant(expert, p)):
        with pytest.raises(UserError, match="p must be a probability between 0 and 1"):
            make()
    with pytest.raises(UserError, match="p_task must be a probability between 0 and 1"):
        Hesitant(expert, 0.0, p_task=p)


@pytest.mark.parametrize("spell", [0, 2.5, True])
def test_a_pause_lasts_whole_steps(spell: Any) -> None:
    with pytest.raises(UserError, match="the hesitant operator's spell must be a whole number of steps, at least 1"):
        Hesitant(ExpertOperator(TASKS), 0.1, spell=spell)
