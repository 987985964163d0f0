"""The cockpit without a browser: devices, steering, the clock, the session, recordings, and a task done by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from hydra.utils import instantiate

import envs  # noqa: F401
from autonomy.data.minari import MinariSource
from autonomy.types import UserError
from eval.cockpit.devices import SILENCE, Command, DeadMan, Keys, Sliders
from eval.cockpit.gamepad import Axis, Gamepad
from eval.cockpit.loop import Loop
from eval.cockpit.record import Recorder
from eval.cockpit.seats import Seats
from eval.cockpit.session import Session
from eval.cockpit.steering import Hand, Joints
from tests.cockpit import configured

DIM = 9


class Watch:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Given:
    """A device that gives what it was told to."""

    def __init__(self, values: Any = None, at: float = 100.0) -> None:
        self.values, self.at = np.zeros(DIM, np.float32) if values is None else values, at

    def read(self) -> Command:
        if isinstance(self.values, Exception):
            raise self.values
        return Command(self.values, self.at)


def test_a_trusted_device_is_clipped_and_nothing_else() -> None:
    values = np.linspace(-2, 2, DIM).astype(np.float32)
    found, problem = DeadMan(Given(values), DIM, Watch()).read()
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
    found, problem = DeadMan(Given(values, at), DIM, Watch()).read()
    assert not found.any()
    assert words in problem
    assert problem.endswith("the operator's dimensions hold still")


def test_sliders_stay_while_somebody_is_there() -> None:
    clock = Watch()
    sliders = Sliders(DIM, clock)
    pilot = DeadMan(sliders, DIM, clock)
    sliders.present(True)
    sliders.set(2, 0.5)
    sliders.set(3, float("nan"))
    clock.now += 60
    assert pilot.read()[0].tolist() == [0, 0, 0.5, 0, 0, 0, 0, 0, 0]
    sliders.present(False)
    clock.now += SILENCE + 0.1
    values, problem = pilot.read()
    assert not values.any()
    assert "silent" in problem
    sliders.present(True)
    assert pilot.read()[1] == ""
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
        (lambda: Gamepad([{"axis": 0, "index": 3}], {}, 3, FakePad()), "the gamepad moves index 3"),
        (lambda: Axis(0, 0, dead_zone=1.5), "dead_zone must be a number"),
    ],
)
def test_maps_that_cannot_be_are_refused(make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize("name", ["sliders", "keyboard"])
def test_presets_of_devices(name: str) -> None:
    device = instantiate(configured("run=x", f"device={name}").device, width=DIM)
    assert device.read().values.shape == (DIM,)


def test_the_preset_of_a_gamepad_fits_the_shoulder() -> None:
    config = configured("run=x", "device=gamepad").device
    assert instantiate(config, width=DIM, pad=FakePad()).read().values.shape == (DIM,)


def kitchen(obs: str = "pose", **options: Any) -> Recorder:
    return Recorder(gymnasium.make("autonomy/kitchen-v1", obs="full", disable_env_checker=True, **options), obs)


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1)])
def test_the_hand_goes_where_it_is_sent(direction: tuple[int, int, int]) -> None:
    world, mask = kitchen(), np.arange(DIM) < 4
    world.reset(seed=0)
    simulator: Any = world.unwrapped
    hand = [simulator.data.site("end_effector").xpos.copy()]
    for _ in range(5):
        action = Hand().action(np.array(direction, np.float32), simulator, mask)
        assert not action[~mask].any()
        world.step(action)
        hand.append(simulator.data.site("end_effector").xpos.copy())
    moved = hand[-1] - hand[0]
    assert moved @ direction > 0.08
    assert moved @ direction > 0.9 * np.linalg.norm(moved)


class Steady:
    """An assistant that always does the same beside the operator; `told` is what it last heard."""

    action = np.full(DIM, 0.1, np.float32)

    def predict(self, observation: Any, state: Any = None, start: Any = None, deterministic: bool = True) -> Any:
        self.told = observation
        held = observation["operator_mask"] > 0
        return np.where(held, observation["operator_action"], self.action), state


def session(device: Given, assistant: Any = None, **options: Any) -> Session:
    pilot = DeadMan(device, DIM, Watch())
    return Session(kitchen(**options), assistant or Steady(), pilot, Joints(DIM), np.arange(DIM) < 3, seed=4)


def test_each_moves_its_own_dimensions() -> None:
    device = Given(np.full(DIM, 0.5, np.float32))
    drive = session(device)
    before = drive.kitchen.unwrapped.data.qpos[:DIM].copy()  # type: ignore[attr-defined]
    shots = [drive.tick() for _ in range(3)]
    assert [shot.step for shot in shots] == [1, 2, 3]
    assert shots[-1].executed.tolist() == pytest.approx([0.5] * 3 + [0.1] * 6)
    assert (shots[-1].positions[:3] - before[:3] > 0.05).all()
    drive.arbitrate("blend", 0.25)
    shot = drive.tick()
    assert shot.executed.tolist() == pytest.approx([0.25 * 0.5 + 0.75 * 0.1] * 3 + [0.1] * 6)
    assert not drive.assistant.told["operator_mask"].any()  # type: ignore[attr-defined]
    drive.arbitrate("off")
    assert drive.tick().executed.tolist() == pytest.approx([0.5] * 3 + [0.0] * 6)
    with pytest.raises(UserError, match="unknown arbitration 'duel'"):
        drive.arbitrate("duel")


def test_who_fails_holds_still_and_the_other_goes_on() -> None:
    device, assistant = Given(np.full(DIM, 0.5, np.float32)), Steady()
    drive = session(device, assistant)
    device.at -= 1
    shot = drive.tick()
    assert shot.executed.tolist() == pytest.approx([0.0] * 3 + [0.1] * 6)
    assert "silent" in shot.problem
    device.at += 1
    assistant.action = np.full(DIM, np.nan, np.float32)
    shot = drive.tick()
    assert shot.executed.tolist() == pytest.approx([0.5] * 3 + [0.0] * 6)
    assert "no finite action" in shot.problem


def test_nothing_moves_after_the_end() -> None:
    drive = session(Given(np.full(DIM, 0.2, np.float32)), max_episode_steps=2)
    shots = [drive.tick() for _ in range(4)]
    assert [shot.ended for shot in shots] == [False, True, True, True]
    assert [shot.step for shot in shots] == [1, 2, 2, 2]
    assert np.array_equal(shots[1].positions, shots[3].positions)
    drive.reset(5)
    assert drive.tick().seed == 5


def test_a_recorded_session_replays_to_the_same_states_and_is_data() -> None:
    drive = session(Given(np.linspace(-0.4, 0.4, DIM).astype(np.float32)))
    shots = [drive.tick() for _ in range(6)]
    drive.reset(8)
    shots += [drive.tick() for _ in range(3)]
    drive.reset(9)
    name = drive.kitchen.save(("kettle",))
    assert name is not None
    assert drive.kitchen.save(("kettle",)) is None
    recorded = list(minari.load_dataset(name).iterate_episodes())
    assert [len(episode.actions) for episode in recorded] == [6, 3]
    first = recorded[0]
    assert np.array_equal(first.actions, [shot.executed for shot in shots[:6]])
    assert np.array_equal(first.infos["operator_action"][1:], [shot.operator for shot in shots[:6]])
    assert np.array_equal(first.infos["operator_mask"][1:], [shot.mask for shot in shots[:6]])
    world = kitchen()
    states = [world.reset(seed=4)[0], *(world.step(action)[0] for action in first.actions)]
    assert np.array_equal(states[:-1], [shot.state for shot in shots[:6]])
    demonstrations = MinariSource(name, ["kettle"]).load()
    assert [len(episode) for episode in demonstrations] == [6, 3]
    assert np.array_equal(demonstrations.episodes[0].states, np.array(states[:-1]))


def test_the_first_drives_and_the_wheel_can_be_taken() -> None:
    seats = Seats()
    seats.join(1)
    seats.join(2)
    assert (seats.driver, seats.watching) == (1, 1)
    assert seats.take(2)
    assert seats.driver == 2
    assert not seats.take(3)
    seats.leave(2)
    assert (seats.driver, seats.watching) == (None, 1)
    seats.leave(1)
    seats.join(4)
    assert seats.driver == 4


def test_ticks_keep_their_period_and_skip_what_they_missed() -> None:
    times: list[float] = []

    def tick() -> None:
        times.append(time.monotonic())
        if len(times) == 3:
            time.sleep(0.13)

    loop = Loop(tick, period=0.05)
    loop.start()
    time.sleep(0.62)
    loop.stop()
    steps = np.diff(times)
    assert 9 <= len(times) <= 12
    assert np.median(steps) == pytest.approx(0.05, abs=0.01)
    assert steps[2] == pytest.approx(0.15, abs=0.03)
    assert loop.error is None


def test_a_paused_loop_rests_and_an_error_ends_it() -> None:
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) > 3:
            raise OSError("gone")

    loop = Loop(tick, period=0.01)
    loop.pause(True)
    loop.start()
    time.sleep(0.1)
    assert not ticks
    loop.pause(False)
    loop.join(2)
    assert not loop.running
    assert isinstance(loop.error, OSError)
