"""The whole way with every world that ships but the kitchen: train, play, compare, report, drive and record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import minari
import numpy as np
import pandas as pd
import pytest

from autonomy import train
from eval import report, rollout
from eval.benchmark import __main__ as benchmark
from eval.cockpit.serve import compose_cockpit, make
from eval.episodes import read_episodes
from tests.test_worlds import SMALL

Walk = Callable[..., None]


def door(home: Path) -> list[str]:
    """A few rows of random numbers; as in the human recordings, some actions lie beyond the box."""
    rng = np.random.default_rng(0)
    rows = {"states": rng.normal(size=(20, 39)), "actions": rng.uniform(-1.4, 1.4, (20, 28))}
    np.savez(home / "door.npz", **rows, episode_ends=[10, 20])
    return ["env=adroit-door", "env.world.max_episode_steps=4", "data=npz", f"data.path={home / 'door.npz'}"]


def recorded(env: str) -> Callable[[Path], list[str]]:
    """What the demonstrator of `env` does, recorded by the first training."""
    return lambda _: [f"env={env}", "data=operator", "data.n_episodes=2"]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Run the entry point of a program in this process, with these arguments."""

    def run(program: Callable[[], None], *arguments: str) -> None:
        monkeypatch.setattr("sys.argv", ["program", *arguments])
        program()

    return run


@pytest.mark.parametrize(
    ("data", "operator", "channels", "dim", "length"),
    [
        pytest.param(door, "random", "arm", 28, 4, id="door"),
        pytest.param(recorded("fetch"), "fetch", "plane", 4, 50, id="fetch"),
        pytest.param(recorded("reach"), "reach", "joystick", 3, 40, id="reach"),
    ],
)
def test_from_recordings_to_a_session(
    data: Callable[[Path], list[str]],
    operator: str,
    channels: str,
    dim: int,
    length: int,
    typed: Walk,
    tmp_path: Path,
) -> None:
    run, learn = tmp_path / "run", [*data(tmp_path), *SMALL, "evaluation.episodes=0"]
    typed(train.run, *learn, f"run={run}")
    played = [f"operator={operator}", f"channels={channels}"]
    typed(rollout.run, f"run={run}", *played, "episodes=2", "processes=1", f"out={tmp_path / 'played'}")
    records = read_episodes(tmp_path / "played" / "episodes.jsonl")
    assert [(record.channels, record.length, len(record.mask)) for record in records] == [(channels, length, dim)] * 2
    typed(report.run, f"run={run}")
    assert (run / "report.html").is_file()
    cells = json.dumps([["operator=zero", "channels=none"], played])
    compared = ["assistants=[mac,bc]", "training_seeds=[0]", f"cells={cells}", f"train={json.dumps(learn)}"]
    size = ["episodes=2", "calibration=0", "gallery=0", "processes=2"]
    typed(benchmark.run, "experiment=own", *compared, *size, f"store={tmp_path}", f"out={tmp_path / 'compared'}")
    table = pd.read_csv(tmp_path / "compared" / "figures" / "matrix.csv")
    assert sorted(table["row"] + " " + table["assistant"]) == sorted(
        f"{row} {who}" for row in ("zero-none", f"{operator}-{channels}") for who in ("mac", "bc")
    )
    cockpit = make(compose_cockpit([f"run={run}", f"held={channels}"]))
    shots = [cockpit.session.tick() for _ in range(3)]
    assert shots[-1].executed.shape == (dim,)
    cockpit.save()
    (episode,) = minari.load_dataset(cockpit.saved[0]).iterate_episodes()
    assert episode.actions.shape == (3, dim)
