"""What a person holds: trusted or not, sliders, keys, gamepads, and their presets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate

import envs  # noqa: F401
from autonomy.types import UserError
from eval.cockpit.devices import SILENCE, DeadMan, Keys, Sliders
from eval.cockpit.gamepad import Axis, Gamepad
from eval.cockpit.kitchen.hand import Hand
from eval.cockpit.serve import compose_cockpit
from tests.cockpit import DIM, Given, Watch


def test_a_trusted_device_is_clipped_and_nothing_else() -> None:
    values = np.linspace(-2, 2, DIM).astype(np.float32)
    found, problem, _ = DeadMan(Given(values), DIM, clock=Watch()).read()
    assert problem == ""
    assert np.array_equal(found, np.clip(values, -1, 1))


@pytest.mark.parametrize(
    ("values", "at", "words"),
    [
        (None, 100.0 - SILENCE - 0.1, "silent for 0.6 s"),
        (np.full(DIM, np.nan), 100.0, "9 finite numbers"),
        (np.zeros(DIM - 1), 100.0, "9 finite numbers"),
        (OSError("the gamepad is unplugged"), 100.0, "the device failed: the gamepad is unplugged"),
    ],
)
def test_what_cannot_be_trusted_holds_still_and_says_why(values: Any, at: float, words: str) -> None:
    reading = DeadMan(Given(values, at), DIM, clock=Watch()).read()
    assert not reading.values.any()
    assert reading.failed
    assert words in reading.problem
    assert reading.problem.endswith("the operator's dimensions hold still")


def test_sliders_stay_while_somebody_is_there() -> None:
    clock, there = Watch(), ["anna"]
    sliders = Sliders(DIM, clock)
    pilot = DeadMan(sliders, DIM, lambda: there[0] or None, clock)
    sliders.set(2, 0.5)
    sliders.set(3, float("nan"))
    clock.now += 60
    assert pilot.read()[0].tolist() == [0, 0, 0.5, 0, 0, 0, 0, 0, 0]
    there[0] = ""
    reading = pilot.read()
    assert not reading.values.any()
    assert not reading.failed
    assert reading.problem == "nobody drives: the operator's dimensions hold still"
    sliders.release()
    there[0] = "anna"
    assert pilot.read()[1:] == ("", "anna")
    assert not pilot.read()[0].any()


def test_keys_move_while_they_are_pressed() -> None:
    clock = Watch()
    keys = Keys({"a": [0, 1], "d": [0, -1], "w": [1, 1]}, DIM, speed=0.4, pulse=0.3, clock=clock)
    keys.press("A")
    keys.press("w")
    assert keys.read().values[:2] == pytest.approx([0.4, 0.4])
    keys.press("d")
    assert keys.read().values[:2] == pytest.approx([0.0, 0.4])
    clock.now += 0.31
    assert not keys.read().values.any()
    assert keys.read().at == clock.now
    with pytest.raises(UserError, match="unknown key 'X'; the valid ones are A, D, W"):
        keys.press("x")


class FakePad:
    axes, buttons = [0.0, 0.0], [False, False]

    def poll(self) -> tuple[list[float], list[bool]]:
        return self.axes, self.buttons


def test_a_gamepad_is_mapped_with_dead_zones() -> None:
    pad = FakePad()
    axes = [Axis(0, 3, scale=-0.5, dead_zone=0.2), {"axis": 1, "index": 1}]
    device = Gamepad(axes, {1: [8, 1.0]}, DIM, pad, Watch())
    pad.axes = [0.19, 0.05]
    assert not device.read().values.any()
    pad.axes, pad.buttons = [1.0, -0.55], [False, True]
    assert device.read().values.tolist() == pytest.approx([0, -0.5, 0, -0.5, 0, 0, 0, 0, 1.0])
    pad.axes = [0.2, 0.0]
    assert device.read().values[3] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Keys({"a": [9, 1]}, DIM), "key a moves index 9, but only 0 to 8 can be steered"),
        (lambda: Keys({"a": [0, 2]}, DIM), "the key a must move in direction 1 or -1"),
        (lambda: Gamepad([{"axis": 0, "index": 9}], {}, 3, FakePad()), "the gamepad moves index 9"),
        (lambda: Axis(0, 0, dead_zone=1.5), "dead_zone must be a number"),
    ],
)
def test_maps_that_cannot_be_are_refused(make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize("width", [DIM, len(Hand.labels)])
@pytest.mark.parametrize("name", ["sliders", "keyboard", "gamepad"])
def test_presets_of_devices_serve_for_joints_and_hand(name: str, width: int) -> None:
    pad = {"pad": FakePad()} if name == "gamepad" else {}
    device = instantiate(compose_cockpit(["run=x", f"device={name}"]).device, width=width, **pad)
    assert device.read().values.shape == (width,)
    if isinstance(device, Keys):
        assert {index for index, _ in device.keys.values()} == set(range(min(4, width)))
