"""Which dimensions an operator holds: fixed sets, random ones, and what a person may type for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from autonomy.channels import FixedChannels, RandomChannels, channel_names, parse_channels
from autonomy.types import Channels, UserError

NAMED = {"base": (0, 1, 2), "wrist": (4, 5, 6), "fingers": (7, 8)}


def held(channels: Channels) -> list[int]:
    return [int(dim) for dim in np.flatnonzero(channels.sample(1, np.random.default_rng(0))[0])]


def test_fixed_channels_are_the_same_in_every_episode() -> None:
    channels = FixedChannels([3, 0], dim=5)
    assert channels.name == "dims-3-0"
    expected = [True, False, False, True, False]
    assert channels.sample(3, np.random.default_rng(0)).tolist() == [expected] * 3


def test_masks_are_not_shared_between_draws() -> None:
    channels = FixedChannels([0], dim=2)
    channels.sample(2, np.random.default_rng(0))[:] = True
    assert channels.sample(2, np.random.default_rng(0)).tolist() == [[True, False]] * 2


@pytest.mark.parametrize("dims", [[9], [-1], [0, 0], ["0"], [True], [0.5]])
def test_fixed_channels_refuse_what_is_no_set_of_dimensions(dims: list[Any]) -> None:
    with pytest.raises(UserError, match="the valid ones are 0 to 8"):
        FixedChannels(dims, dim=9)


@pytest.mark.parametrize("k", range(6))
def test_random_channels_hold_k_dimensions(k: int) -> None:
    masks = RandomChannels(k, dim=5).sample(200, np.random.default_rng(0))
    assert masks.shape == (200, 5)
    assert masks.dtype == np.bool_
    assert (masks.sum(axis=1) == k).all()


def test_random_channels_are_uniform_over_the_subsets() -> None:
    masks = RandomChannels(2, dim=5).sample(20_000, np.random.default_rng(0))
    _, counts = np.unique(masks, axis=0, return_counts=True)
    assert len(counts) == 10
    deviation = 4 * np.sqrt(2_000 * 0.9)
    assert np.abs(counts - 2_000).max() < deviation


def test_random_channels_repeat_with_the_generator() -> None:
    channels = RandomChannels(3, dim=9)
    first, second = (channels.sample(5, np.random.default_rng(7)) for _ in range(2))
    assert (first == second).all()
    assert not (first == channels.sample(5, np.random.default_rng(8))).all()


@pytest.mark.parametrize("k", [-1, 10, 1.5, True, "3"])
def test_random_channels_refuse_a_k_out_of_range(k: Any) -> None:
    with pytest.raises(UserError, match="between 0 and 9"):
        RandomChannels(k, dim=9)


@pytest.mark.parametrize(
    ("value", "name", "dims"),
    [
        ("base", "base", [0, 1, 2]),
        ("fingers", "fingers", [7, 8]),
        ("none", "none", []),
        ("all", "all", list(range(9))),
        ([0, 8], "dims-0-8", [0, 8]),
        (OmegaConf.create([3, 0]), "dims-3-0", [0, 3]),
        ("dims-0-3-8", "dims-0-3-8", [0, 3, 8]),
        ("random-9", "random-9", list(range(9))),
        ("random-0", "random-0", []),
    ],
)
def test_what_a_person_types_has_a_name_and_dimensions(value: Any, name: str, dims: list[int]) -> None:
    channels = parse_channels(value, 9, NAMED)
    assert (channels.name, held(channels)) == (name, dims)
    again = parse_channels(channels.name, 9, NAMED)
    assert (again.name, held(again)) == (name, dims)


@pytest.mark.parametrize("k", range(1, 10))
def test_random_words_draw_k_dimensions_in_every_episode(k: int) -> None:
    channels = parse_channels(f"random-{k}", 9, NAMED)
    assert channels.name == f"random-{k}"
    masks = channels.sample(40, np.random.default_rng(0))
    assert masks.sum(axis=1).tolist() == [k] * 40
    assert (len(np.unique(masks, axis=0)) > 1) == (k < 9)


def test_all_and_none_hold_alike_whatever_the_draw() -> None:
    for word, mass in (("all", 1.0), ("none", 0.0)):
        assert (parse_channels(word, 28, {}).sample(5, np.random.default_rng(3)) == mass).all()


@pytest.mark.parametrize(
    "value", ["elbow", "list", "", "random-10", "random-03", "random--1", "random-x", "dims-", 3, None, True, {}]
)
def test_other_values_are_refused_with_the_choices_of_the_environment(value: Any) -> None:
    with pytest.raises(UserError) as caught:
        parse_channels(value, 9, NAMED)
    assert str(caught.value) == (
        f"unknown channels {value!r}; the valid ones are base, fingers, wrist, none, all, random-1 to random-9, or a "
        "list of dimensions such as [0]"
    )


@pytest.mark.parametrize("value", [[9], [-1], [0, 0], ["base"], [True], [0.5], "dims-9"])
def test_lists_are_of_the_environments_dimensions(value: Any) -> None:
    with pytest.raises(UserError, match="not distinct action dimensions; the valid ones are 0 to 8"):
        parse_channels(value, 9, NAMED)


def test_every_word_that_is_offered_is_taken() -> None:
    words = channel_names(3, {"joystick": [0, 1]})
    assert words == ["joystick", "none", "all", "random-1", "random-2", "random-3"]
    assert [parse_channels(word, 3, {"joystick": [0, 1]}).name for word in words] == words
