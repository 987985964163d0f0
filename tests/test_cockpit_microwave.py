"""A person with a gamepad for three joints and a trained MAC for the other six open the microwave, in real time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from eval.cockpit import gamepad
from eval.cockpit.kitchen.demonstrator import Demonstrator
from eval.cockpit.serve import compose_cockpit, make
from tests.cockpit import DIM
from tests.conftest import Program

TRAINING = (
    "env=kitchen-mixed",
    "experiment=smoke",
    "env.tasks=[microwave]",
    "data.n_episodes=60",
    "model.width=256",
    "training.steps=3000",
    "training.ema=0.99",
    "training.keep=last",
    "evaluation.episodes=0",
)
HELD = [0, 1, 2]
PATIENCE = 45.0
"""Seconds; the demonstrator needs some eight."""


class Thumbs(Demonstrator):
    """Hardware whose sticks are moved by hands that know what they want from the first three joints."""

    presets = compose_cockpit(["run=x", "device=gamepad"]).device.axes

    def poll(self) -> tuple[list[float], list[bool]]:
        wanted, deflections = self.read().values, [0.0] * 6
        for axis in self.presets:
            pushed = wanted[axis.index] / axis.scale
            beyond = axis.dead_zone + (1 - axis.dead_zone) * min(1.0, abs(pushed))
            deflections[axis.axis] = float(np.copysign(beyond, pushed))
        return deflections, []


@pytest.fixture(scope="module")
def run(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("microwave")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder / "minari"))
        done = program("autonomy.train", *TRAINING, f"run={folder / 'run'}", cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize("arbitration", ["dims", "off"])
def test_three_joints_and_a_trained_assistant_open_the_microwave(
    run: Path, arbitration: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbs = Thumbs(["microwave"], DIM)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    monkeypatch.setattr(gamepad, "PygamePad", lambda: thumbs)
    cockpit = make(compose_cockpit([f"run={run}", "device=gamepad", "held=base", "seed=1000"]))
    thumbs.simulator = cockpit.simulator
    cockpit.choose("arbitration", arbitration)
    cockpit.join(1)
    cockpit.loop.start()
    end = time.monotonic() + (PATIENCE if arbitration == "dims" else PATIENCE / 3)
    while time.monotonic() < end and not (cockpit.latest and cockpit.latest.completed):
        time.sleep(0.1)
    cockpit.loop.stop()
    assert cockpit.loop.error is None
    assert cockpit.latest is not None
    assert np.flatnonzero(cockpit.latest.mask).tolist() == HELD
    assert cockpit.latest.completed == (("microwave",) if arbitration == "dims" else ())
