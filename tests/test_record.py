"""Demonstrations: their mixtures, the noise that they are executed with, and the data set that they end in."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from autonomy.types import UserError
from envs.kitchen.expert.lapses import Lapses
from envs.kitchen.expert.noise import ActionNoise
from envs.kitchen.expert.orders import MIXTURES
from envs.kitchen.expert.recipe import Recipe
from envs.kitchen.tasks import TASK_SETS, TASKS

RECORD = (
    "from envs.kitchen.expert.record import record_demonstrations as record; record(n_episodes=4, seed=3, processes=2)"
)


def take(iterator, n):
    return np.array(list(itertools.islice(iterator, n)))


def test_quiet_noise_is_zero():
    assert not take(ActionNoise(sigma=0.0, start_sigma=0.0).offsets(np.random.default_rng(0)), 50).any()


def test_noise_has_the_scales_that_it_names():
    offsets = np.array([take(ActionNoise().offsets(np.random.default_rng(i)), 10) for i in range(400)])
    assert offsets[:, 4:].std() == pytest.approx(0.08, rel=0.05)
    assert offsets[:, :4, :7].std() == pytest.approx(np.hypot(0.08, 0.3), rel=0.05)
    assert offsets[:, :4, 7:].std() == pytest.approx(0.08, rel=0.1)


@pytest.mark.parametrize("options", [{"sigma": -1.0}, {"start_sigma": -1.0}, {"start_steps": -1}])
def test_unusable_noise(options):
    with pytest.raises(UserError):
        ActionNoise(**options)


def test_mixtures():
    rng = np.random.default_rng(0)
    mixed, partial, complete = ([MIXTURES[name](rng) for _ in range(400)] for name in ("mixed", "partial", "complete"))
    for order in mixed + partial:
        assert len(set(order)) == 4
        assert set(order) <= set(TASKS)
    assert not any(set(order) == set(TASK_SETS["mixed"]) for order in mixed)
    assert len(set(mixed)) > 250
    assert {task for order in mixed for task in order} == set(TASKS)
    assert set(complete) == {TASK_SETS["complete"]}
    done = [set(order) == set(TASK_SETS["partial"]) for order in partial]
    assert np.mean(done) == pytest.approx(0.5, abs=0.1)
    assert all(order == TASK_SETS["partial"] for order, all_four in zip(partial, done, strict=True) if all_four)


@pytest.mark.parametrize("options", [{"mixture": "medium"}, {"n_episodes": 0}, {"speed": 0.0}, {"seed": -1}])
def test_unusable_recipes(options):
    with pytest.raises(UserError, match="mixed, partial, complete" if "mixture" in options else "must be"):
        Recipe(**options)


def test_ids_name_the_recipe():
    recipes = [Recipe(), Recipe(seed=1), Recipe(n_episodes=10), Recipe("partial"), Recipe(noise=ActionNoise(sigma=0.1))]
    assert len({recipe.default_id() for recipe in recipes}) == len(recipes)
    assert Recipe().default_id() == Recipe(lapses=Lapses(steps=[3, 12])).default_id()
    assert Recipe().default_id().startswith("autonomy/kitchen-mixed/scripted-n150-seed0-")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The same recipe, recorded by one process and by two, each into a store of its own."""
    pytest.importorskip("jax", reason="Minari's DataCollector needs the extra minari[create]")
    from envs.kitchen.expert.record import record_demonstrations

    stores = {}
    with pytest.MonkeyPatch.context() as patch:
        for processes in (1, 2):
            store = tmp_path_factory.mktemp(f"store{processes}")
            patch.setenv("MINARI_DATASETS_PATH", str(store))
            stores[processes] = (store, record_demonstrations(n_episodes=2, seed=5, processes=processes))
    return stores


@pytest.fixture
def dataset(recorded, monkeypatch):
    import minari

    store, dataset_id = recorded[1]
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(store))
    return minari.load_dataset(dataset_id)


def test_a_data_set_does_not_depend_on_the_processes(recorded, monkeypatch):
    import minari

    contents = []
    for store, dataset_id in recorded.values():
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(store))
        episodes = minari.load_dataset(dataset_id).iterate_episodes()
        contents.append([array for e in episodes for array in (e.observations, e.actions, e.rewards)])
    for one, two in zip(*contents, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_episodes_hold_what_they_say(dataset):
    assert dataset.total_episodes == 2
    for episode, metadata in zip(dataset.iterate_episodes(), dataset.storage.get_episode_metadata([0, 1]), strict=True):
        assert episode.observations.shape == (len(episode.actions) + 1, 59)
        assert episode.actions.shape[1:] == (9,)
        assert np.abs(episode.actions).max() <= 1.0
        assert episode.rewards.sum() == 4
        assert len(episode.actions) <= 320
        assert json.loads(metadata["order"]) == json.loads(metadata["completed"])
        assert metadata["seed"] >= 0


def test_recorded_actions_are_the_intent(dataset):
    """An intent is smooth; what was executed had 0.08 of noise on the fingers and 0.3 more on the arm at the start."""
    for episode in dataset.iterate_episodes():
        held = np.abs(np.diff(episode.actions[:, :7], axis=0)).max(axis=1)
        assert np.median(held) < 0.15


def test_a_second_call_returns_at_once(dataset):
    from envs.kitchen.expert.record import record_demonstrations

    start = time.perf_counter()
    assert record_demonstrations(n_episodes=2, seed=5) == dataset.spec.dataset_id
    assert time.perf_counter() - start < 0.5


def test_an_id_with_other_settings_is_refused(dataset):
    from envs.kitchen.expert.record import record_demonstrations

    with pytest.raises(UserError, match=r"other settings.*n_episodes"):
        record_demonstrations(dataset.spec.dataset_id, n_episodes=3, seed=5)
    with pytest.raises(UserError, match="Minari id"):
        record_demonstrations("not an id", n_episodes=3, seed=5)


def running():
    """Every process that runs, with its parent (zombies do not run)."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if state != "Z":
            found[int(file.parent.name)] = int(parent)
    return found


def test_a_killed_recording_leaves_no_half_data_set(tmp_path, root):
    pytest.importorskip("jax", reason="Minari's DataCollector needs the extra minari[create]")
    import minari

    if not Path("/proc/self/stat").exists():
        pytest.skip("reads /proc")
    environment = {**os.environ, "MINARI_DATASETS_PATH": str(tmp_path)}
    recording = subprocess.Popen([sys.executable, "-c", RECORD], cwd=root, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".recording-*/take-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = {process for process, parent in running().items() if parent == recording.pid}
    recording.send_signal(signal.SIGKILL)
    recording.wait()
    assert workers
    while workers & running().keys() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not workers & running().keys()  # the workers end with their parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
        assert minari.list_local_datasets() == {}
        from envs.store import staging

        with staging() as folder:
            assert list(tmp_path.glob(".recording-*")) == [folder]  # and what was left is cleared away
