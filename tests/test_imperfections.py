"""Imperfect operators: at p = 0, at p = 1, then their rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from autonomy.types import Array, Mask, Operator, UserError
from envs.imperfections import Biased, Delayed, DropOut, Imperfection, Laggy, Noisy
from envs.operators import RandomOperator, ZeroOperator

DIM = 3
HELD = np.ones(DIM, np.bool_)
Wrap = Callable[[Operator], Imperfection]


class Counting(Operator):
    """Commands (step + 1) / 1000 in every dimension; means the task "count"."""

    name = "counting"

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._steps[index] = 0

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        for index in range(len(states)):
            self._steps[index] += 1
        return np.array([[self._steps[i] / 1000] * DIM for i in range(len(states))], np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return ("count",)


def play(operator: Operator, steps: int, n: int = 1, seed: int = 0) -> Array:
    """One episode of `steps` actions in `n` environments: (steps, n, D). Environment i's generator is [seed, i]."""
    for index in range(n):
        operator.reset(index, np.random.default_rng([seed, index]), HELD)
    states = np.zeros((n, 4), np.float32)
    return np.stack([operator.act(states, []) for _ in range(steps)])


def whole_numbers(actions: Array) -> list[int]:
    """The steps whose commands these are, in the first environment."""
    return np.rint(actions[:, 0, 0] * 1000).astype(int).tolist()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda operator: Noisy(operator, 0),
        lambda operator: Laggy(operator, 0.0),
        lambda operator: Delayed(operator, 0),
        lambda operator: Biased(operator, 0.0),
        lambda operator: Biased(operator, offset=[0, 0, 0]),
        lambda operator: DropOut(operator, 0.0, spell=5),
    ],
)
def test_no_imperfection_leaves_the_operator_as_it_is(wrap: Wrap) -> None:
    alone, wrapped = play(RandomOperator(DIM), 50, n=2), play(wrap(RandomOperator(DIM)), 50, n=2)
    assert alone.tobytes() == wrapped.tobytes()


def test_noisy_at_one_is_uniform() -> None:
    actions = play(Noisy(Counting(), 1), 4000)
    assert np.abs(actions).max() <= 1
    assert len(np.unique(actions)) > 11_000
    assert np.abs(actions.mean()) < 0.03
    assert np.abs(actions.std() - 1 / np.sqrt(3)) < 0.02


def test_noisy_replaces_whole_actions_at_its_rate() -> None:
    actions = play(Noisy(Counting(), 0.3), 4000)
    original = play(Counting(), 4000)
    replaced = (actions != original)[:, 0]
    assert (replaced.all(axis=1) == replaced.any(axis=1)).all()
    assert abs(replaced[:, 0].mean() - 0.3) < 4 * np.sqrt(0.21 / 4000)


def test_laggy_at_one_repeats_the_first_action() -> None:
    assert whole_numbers(play(Laggy(Counting(), 1), 10)) == [1] * 10


def test_laggy_repeats_the_last_action_at_its_rate() -> None:
    steps = whole_numbers(play(Laggy(Counting(), 0.85), 4000))
    repeated = [now == before for before, now in pairwise(steps)]
    fresh = [now == index + 2 for index, now in enumerate(steps[1:])]
    assert all(a != b for a, b in zip(repeated, fresh, strict=True))
    assert abs(np.mean(repeated) - 0.85) < 4 * np.sqrt(0.85 * 0.15 / 4000)


def test_delayed_actions_come_k_steps_late_and_it_holds_still_before() -> None:
    assert whole_numbers(play(Delayed(Counting(), 3), 6)) == [0, 0, 0, 1, 2, 3]


def test_a_new_episode_forgets_the_last_one() -> None:
    for operator in (Delayed(Counting(), 2), Laggy(Counting(), 0.9), DropOut(Counting(), 0.2, spell=4)):
        first, second = play(operator, 20), play(operator, 20)
        assert first.tobytes() == second.tobytes()


def test_a_lag_does_not_reach_into_the_next_episode() -> None:
    operator = Laggy(RandomOperator(DIM), 1.0)
    assert not (play(operator, 3, seed=0) == play(operator, 3, seed=1)).any()


def test_biased_adds_one_constant_an_episode() -> None:
    operator = Biased(ZeroOperator(DIM), scale=0.1)
    offsets = [play(operator, 5, seed=seed)[:, 0] for seed in range(400)]
    assert all((offset == offset[0]).all() for offset in offsets)
    drawn = np.stack([offset[0] for offset in offsets])
    assert abs(drawn.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * drawn.size)
    assert abs(drawn.mean()) < 4 * 0.1 / np.sqrt(drawn.size)


def test_biased_by_a_given_offset() -> None:
    actions = play(Biased(ZeroOperator(DIM), offset=[0.5, 0, -0.25]), 3, n=2)
    assert (actions == np.array([0.5, 0, -0.25], np.float32)).all()


def test_drop_out_at_one_is_still() -> None:
    assert whole_numbers(play(DropOut(Counting(), 1.0), 20)) == [0] * 20


def test_drop_out_drops_single_steps_at_its_rate() -> None:
    dropped = np.array(whole_numbers(play(DropOut(Counting(), 0.2), 4000))) == 0
    assert abs(dropped.mean() - 0.2) < 4 * np.sqrt(0.16 / 4000)


def test_drop_out_spells_last() -> None:
    dropped = np.array(whole_numbers(play(DropOut(Counting(), 0.05, spell=7), 4000))) == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], dropped, [False]]).astype(int)))
    lengths = (edges[1::2] - edges[::2])[:-1]
    assert len(lengths) > 50
    assert (lengths % 7 == 0).all()


def test_draws_do_not_depend_on_the_number_of_environments() -> None:
    def make() -> Operator:
        return Noisy(Laggy(Biased(DropOut(RandomOperator(DIM), 0.3, spell=2), 0.2), 0.5), 0.3)

    few, many = play(make(), 30, n=4), play(make(), 30, n=16)
    assert few.tobytes() == many[:, :4].tobytes()
    assert not (many[:, 3] == many[:, 4]).any()


def test_imperfections_of_one_operator_are_independent_of_each_other() -> None:
    """Two wrappers with the same p must not be driven by the same draws."""
    steps = np.array(whole_numbers(play(DropOut(DropOut(Counting(), 0.5), 0.5), 4000)))
    assert abs((steps == 0).mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)


def test_a_wrapper_passes_on_the_plan_and_says_both_names() -> None:
    operator = Noisy(Delayed(Counting(), 2), 0.3)
    operator.reset(0, np.random.default_rng(0), HELD)
    assert operator.intent(0) == ("count",)
    assert operator.name == "noisy-0.3-delayed-2-counting"


class Broken(ZeroOperator):
    """Returns one row too few."""

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        return super().act(states, simulators)[1:]


def test_a_wrong_answer_is_passed_on_for_shared_control_to_refuse() -> None:
    assert play(Noisy(Broken(DIM), 1.0), 1, n=3).shape == (1, 2, DIM)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), True, "0.5"])
@pytest.mark.parametrize("wrapper", [Noisy, Laggy, DropOut])
def test_a_probability_is_between_0_and_1(wrapper: Callable[..., Imperfection], p: Any) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        wrapper(ZeroOperator(DIM), p)


@pytest.mark.parametrize("make", [lambda o: Delayed(o, -1), lambda o: Delayed(o, 1.5), lambda o: DropOut(o, 0.5, 0)])
def test_steps_are_whole_numbers(make: Wrap) -> None:
    with pytest.raises(UserError, match="whole number of steps"):
        make(ZeroOperator(DIM))


@pytest.mark.parametrize("bias", [{"scale": -1.0}, {"scale": "x"}, {"offset": [float("nan"), 0, 0]}])
def test_a_bias_is_finite(bias: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="scale of at least 0 and finite offsets"):
        Biased(ZeroOperator(DIM), **bias)


def test_an_offset_has_one_number_a_dimension() -> None:
    with pytest.raises(UserError, match="must have 3 numbers, got 2"):
        play(Biased(ZeroOperator(DIM), offset=[0.1, 0.1]), 1)
