"""A belief on demonstrations: what it is told, what is counted, and `python -m eval.belief`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autonomy.channels import FixedChannels
from autonomy.train import train
from autonomy.types import Demonstrations, Episode, UserError
from eval import belief
from eval.belief import calibration_error, frame, over_time, reliability, summarised, write
from eval.following import courses
from eval.recognition import Course
from eval.settings import compose_config
from tests.believers import TASKS, Believer

DIM = 3


def demonstrations(labels: tuple[str, ...] = ("kettle", "sink")) -> Demonstrations:
    """Two episodes: of 4 steps with the first label and then the second, of 2 steps with none of them."""
    rng = np.random.default_rng(0)
    intents = (np.array([0, 0, 1, 1]), np.array([-1, -1]))
    episodes = [
        Episode(rng.normal(size=(len(z), 5)).astype(np.float32), rng.uniform(-1, 1, (len(z), DIM)).astype(np.float32),
                intents=z)
        for z in intents
    ]  # fmt: skip
    return Demonstrations(tuple(episodes), TASKS, "two", intents=labels)


class Listener(Believer):
    """Keeps what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def __deepcopy__(self, memo: Any) -> Listener:
        return self

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        self.seen.append({**observation, "starts": episode_start.copy(), "fresh": state is None})
        return super().predict(observation, state, episode_start, deterministic)


def test_the_assistant_sees_what_an_operator_would_have_done() -> None:
    shown, listener = demonstrations(), Listener()
    found = courses(listener, shown, [FixedChannels([0], DIM, "base"), FixedChannels([], DIM, "none")], 0)
    first, second = shown.episodes
    assert len(listener.seen) == 4
    for step, seen in enumerate(listener.seen):
        states = np.stack([first.states[step], second.states[min(step, 1)]])
        np.testing.assert_array_equal(seen["state"], np.concatenate([states, states]))
        np.testing.assert_array_equal(seen["operator_action"][0], [first.actions[step, 0], 0, 0])
        assert seen["operator_mask"].sum(1).tolist() == [1, 1, 0, 0]
        assert not seen["operator_action"][2:].any()
        assert seen["starts"].all() == seen["fresh"] == (step == 0)
        assert not seen["veto"].any()
    for name in ("base", "none"):
        assert [course.truths.tolist() for course in found[name]] == [[1, 1, 4, 4], [4, 4]]  # the sink has no name
        assert [len(course.beliefs) for course in found[name]] == [4, 2]
        assert found[name][0].right == 0.5


def test_the_tasks_of_an_episode_may_be_known() -> None:
    listener = Listener()
    courses(listener, demonstrations(), [FixedChannels([0], DIM, "base")], 0, meant="episode")
    for seen in listener.seen:
        assert seen["veto"].tolist() == [[True, False, True, True], [True] * 4]  # the sink has no name
    with pytest.raises(UserError, match="episode, all"):
        courses(listener, demonstrations(), [FixedChannels([0], DIM, "base")], 0, meant="most")


def test_an_assistant_without_belief_and_episodes_without_labels_are_refused() -> None:
    with pytest.raises(UserError, match="no belief over intents"):
        courses(object(), demonstrations(), [], 0)
    bare = Demonstrations((Episode(np.zeros((2, 5), np.float32), np.zeros((2, DIM), np.float32)),), TASKS, "bare")
    with pytest.raises(UserError, match="bare has no labels"):
        courses(Believer(), bare, [FixedChannels([0], DIM, "base")], 0)


def known() -> list[Course]:
    """Two tasks of 3 steps and then none of them: the belief is one step late, and sure at 0.9 or 0.6."""
    beliefs = np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0], [0.4, 0.6, 0], [0.4, 0.6, 0],
                        [0.3, 0.6, 0.1]])  # fmt: skip
    truths = np.array([0, 0, 0, 1, 1, 1, 2])
    return [Course(("kettle", "microwave"), beliefs, beliefs.argmax(1), truths)]


def test_numbers_of_a_known_course() -> None:
    steps = frame({"base": known()})
    assert steps["since"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert steps["acts_for"].tolist()[3:] == ["kettle", "microwave", "microwave", "microwave"]
    one = summarised(known(), steps)
    assert (one.episodes, one.steps, one.recognised, one.followed) == (1, 7, 0.5, 1.0)
    assert one.right == pytest.approx(5 / 7)
    assert one.log_score == pytest.approx(np.log([0.9, 0.9, 0.9, 0.1, 0.6, 0.6, 0.1]).mean())
    bins = reliability(steps)
    assert bins["n"].tolist() == [3, 4]
    assert bins["right"].tolist() == pytest.approx([2 / 3, 3 / 4])
    assert one.error == pytest.approx((3 * abs(2 / 3 - 0.6) + 4 * abs(3 / 4 - 0.9)) / 7) == calibration_error(bins)
    at = over_time(steps).set_index("since")
    assert at["n"].tolist() == [3, 2, 2]
    assert at["right"].tolist() == pytest.approx([1 / 3, 1, 1])


def test_the_table_and_its_files_say_the_same(tmp_path: Path) -> None:
    text = write({"base": known(), "wrist": known()}, tmp_path)
    line = next(line for line in text.splitlines() if line.startswith("wrist")).split()
    assert line[1:8] == ["7", "0.714", f"{frame({'': known()})['of_truth'].map(np.log).mean():.3f}", "0.5", "1",
                         line[6], "0.33"]  # fmt: skip
    assert line[8:] == ["-"] * 5  # no task lasts five steps
    assert pd.read_csv(tmp_path / "belief.csv").groupby("channels").size().to_dict() == {"base": 7, "wrist": 7}
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("belief.png", "reliability.png"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path) -> Path:
    """Trained for two steps, with labels or without, as the data have them."""
    small = ["training.steps=2", "training.validate_every=2", "model.width=8", "model.components=3"]
    path = tmp_path_factory.mktemp("belief") / "run"
    cfg = compose_config("train", ["data=d4rl", f"data.path={d4rl_file}", "intent=none", f"run={path}", *small])
    return train(cfg).path


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "no belief over intents"),
        (["held=wrist"], "held must be a list"),
        (["held=[elbow]"], "shoulder"),
        (["meant=some"], "episode, all"),
        (["episodes=0"], "episodes must be a whole number of at least 1"),
        (["run=nothing"], "there is no run directory"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], overrides: list[str], words: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.belief", f"run={run}", *overrides])
    with pytest.raises(SystemExit) as exit_of:
        belief.run()
    assert exit_of.value.code == 2
    assert words in capsys.readouterr().err
    assert not (run / "belief").exists()
