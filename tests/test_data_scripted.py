"""The scripted source: it asks its generator for a data set, and reads what that recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from autonomy.data.scripted import ScriptedSource
from autonomy.types import UserError
from envs.kitchen.recordings import KitchenReading
from tests.data_files import actions, full, poses, write_minari

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
TASKS = ("microwave", "kettle", "bottom burner", "light switch")
ORDER = ("kettle", "slide cabinet")


def source(generate: Any, tasks: Any = TASKS, obs: str = "pose", **options: Any) -> ScriptedSource:
    return ScriptedSource(generate, reading=KitchenReading(tasks, obs), **options)


class Generator:
    """Writes a set of `n_episodes` equal episodes, unless it did before."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, dataset_id: str | None, **settings: Any) -> str:
        self.calls.append({"dataset_id": dataset_id, **settings})
        id = dataset_id or "test/scripted-v1"
        if len(self.calls) == 1:
            episode = (full(poses(ORDER, 11)), actions(10))
            write_minari(
                id, [episode] * settings["n_episodes"], gymnasium.spaces.Box(-np.inf, np.inf, (59,), np.float64)
            )
        return id


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_it_reads_what_the_generator_recorded() -> None:
    generate = Generator()
    scripted = source(generate, n_episodes=3, seed=5)
    demonstrations = scripted.load()
    assert [episode.completed for episode in demonstrations] == [ORDER] * 3
    assert (demonstrations.source, demonstrations.tasks) == ("scripted: test/scripted-v1", TASKS)
    assert demonstrations.intents == ORDER
    for episode in demonstrations:
        np.testing.assert_array_equal(episode.intents, [0] * 5 + [1] * 5)
    assert generate.calls == [{"dataset_id": None, "n_episodes": 3, "seed": 5}]
    again = scripted.load()
    np.testing.assert_array_equal(again.rows()[0], demonstrations.rows()[0])


def test_the_id_and_the_observation_are_choices() -> None:
    demonstrations = source(Generator(), obs="full", n_episodes=1, dataset_id="test/mine-v3").load()
    assert demonstrations.source == "scripted: test/mine-v3"
    assert demonstrations.episodes[0].states.shape == (10, 59)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_episodes": 0}, r"data\.n_episodes must be a whole number of at least 1, got 0"),
        ({"n_episodes": "00143"}, r"data\.n_episodes must be a whole number"),
        ({"seed": -1}, r"data\.seed must be a whole number of at least 0"),
        ({"tasks": ["oven"]}, r"unknown task 'oven'; the valid tasks are"),
        ({"obs": "video"}, r"unknown obs 'video'; the valid ones are pose, full"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_recorded(settings: dict[str, Any], sentence: str) -> None:
    generate = Generator()
    with pytest.raises(UserError, match=sentence):
        source(generate, **settings)
    assert not generate.calls


def test_the_configured_generator_is_the_expert_s() -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        source = instantiate(compose("data", overrides=["data.generate.mixture=oven"]).data)
    with pytest.raises(UserError, match=r"unknown mixture 'oven'; the valid ones are mixed, partial, complete"):
        source.load()
