"""The cockpit without a browser: steering, the clock, the session, seats and recordings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest

from autonomy.data.minari import MinariSource
from autonomy.types import UserError
from envs.kitchen.recordings import KitchenReading
from eval.cockpit.devices import DeadMan
from eval.cockpit.handover import DEFAULT_STEP
from eval.cockpit.kitchen.hand import Hand
from eval.cockpit.loop import Loop
from eval.cockpit.seats import Seats
from eval.cockpit.session import Session
from tests.cockpit import DIM, Given, Watch, recorder, session_of


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1)])
def test_the_hand_goes_where_it_is_sent(direction: tuple[int, int, int]) -> None:
    world, mask = recorder().world, np.arange(DIM) < 4
    world.stage([0])
    world.reset()
    simulator: Any = world.simulators[0]
    hand = [simulator.data.site("end_effector").xpos.copy()]
    for _ in range(5):
        action = Hand().action(np.array(direction, np.float32), simulator, mask)
        assert not action[~mask].any()
        world.step(action[None])
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
    pilot = DeadMan(device, DIM, clock=Watch())
    return session_of(recorder(**options), assistant or Steady(), pilot)


def test_each_moves_its_own_dimensions() -> None:
    device = Given(np.full(DIM, 0.5, np.float32))
    drive = session(device)
    before = drive.world.simulators[0].data.qpos[:DIM].copy()
    shots = [drive.tick() for _ in range(3)]
    assert [shot.step for shot in shots] == [1, 2, 3]
    assert shots[-1].executed.tolist() == pytest.approx([0.5] * 3 + [0.1] * 6)
    assert (shots[-1].positions[:3] - before[:3] > 0.05).all()
    drive.arbitrate("blend", 0.25)
    shot = drive.tick()
    assert shot.executed.tolist() == pytest.approx([0.25 * 0.5 + 0.75 * 0.1] * 3 + [0.1] * 6)
    assert not drive.copilot.assistant.told["operator_mask"].any()  # type: ignore[attr-defined]
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
    assert shot.executed.tolist() == pytest.approx([DEFAULT_STEP] * 3 + [0.0] * 6), "who comes back takes over"
    assert "no finite action" in shot.problem
    assert drive.tick().executed.tolist() == pytest.approx([0.5] * 3 + [0.0] * 6)


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
    name = drive.recorder.save()
    assert name is not None
    assert drive.recorder.save() is None
    recorded = list(minari.load_dataset(name).iterate_episodes())
    assert [len(episode.actions) for episode in recorded] == [6, 3]
    first = recorded[0]
    assert np.array_equal(first.actions, [shot.executed for shot in shots[:6]])
    assert np.array_equal(first.infos["operator_action"][1:], [shot.operator for shot in shots[:6]])
    assert np.array_equal(first.infos["operator_mask"][1:], [shot.mask for shot in shots[:6]])
    world = recorder().world
    world.stage([4])
    states = [world.reset()[0], *(world.step(action[None])[0][0] for action in first.actions)]
    assert np.array_equal(states[:-1], [shot.state for shot in shots[:6]])
    demonstrations = MinariSource(name, reading=KitchenReading(["kettle"])).load()
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


def test_an_error_ends_the_loop() -> None:
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) > 3:
            raise OSError("gone")

    loop = Loop(tick, period=0.01)
    loop.start()
    loop.join(2)
    assert not loop.running
    assert len(ticks) == 4
    assert isinstance(loop.error, OSError)
