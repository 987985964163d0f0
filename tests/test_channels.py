"""Which dimensions an operator holds: fixed lists, random ones, and the presets of configs/channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.types import UserError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
NAMED: dict[str, set[int]] = {
    "base": {0, 1, 2},
    "shoulder": {0, 1, 2, 3},
    "wrist": {4, 5, 6},
    "arm": set(range(7)),
    "fingers": {7, 8},
    "joystick": {0, 1},
    "none": set(),
    "all": set(range(9)),
}


def preset(name: str, *overrides: str) -> Any:
    with hydra.initialize_config_dir(str(CONFIGS), version_base=None):
        config = hydra.compose(overrides=[f"+channels={name}", "+env=kitchen-mixed", *overrides])
    return hydra.utils.instantiate(config.channels)


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


@pytest.mark.parametrize("name", sorted(NAMED))
def test_named_presets_hold_their_dimensions(name: str) -> None:
    channels = preset(name)
    assert channels.name == name
    assert set(np.flatnonzero(channels.sample(1, np.random.default_rng(0))[0]).tolist()) == NAMED[name]


@pytest.mark.parametrize("k", range(1, 9))
def test_random_presets_hold_k_dimensions(k: int) -> None:
    channels = preset(f"random-{k}")
    assert channels.name == f"random-{k}"
    assert channels.sample(4, np.random.default_rng(0)).sum(axis=1).tolist() == [k] * 4


def test_the_list_preset_takes_dimensions() -> None:
    channels = preset("list", "channels.dims=[0,8]")
    assert np.flatnonzero(channels.sample(1, np.random.default_rng(0))[0]).tolist() == [0, 8]


def test_the_list_preset_refuses_a_dimension_out_of_range() -> None:
    with pytest.raises(hydra.errors.InstantiationException, match="the valid ones are 0 to 8") as caught:
        preset("list", "channels.dims=[9]")
    assert isinstance(caught.value.__cause__, UserError)


def test_there_are_no_other_presets() -> None:
    names = {path.stem for path in (CONFIGS / "channels").glob("*.yaml")}
    assert names == {*NAMED, "list", *(f"random-{k}" for k in range(1, 9))}
