"""Minari sets in the local store: layouts, relabelling, damage, and downloads that cannot be."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from minari.storage import get_dataset_path

from autonomy.data.minari import MinariSource
from autonomy.types import UserError
from envs.kitchen.recordings import KitchenReading
from tests.data_files import actions, full, poses, write_minari

TASKS = ("microwave", "kettle", "bottom burner", "light switch")
ORDERS = [("kettle", "microwave", "light switch"), ("bottom burner", "hinge cabinet")]
ID = "test/kitchen-v0"
FLAT = gymnasium.spaces.Box(-np.inf, np.inf, (59,), np.float64)
POSE = gymnasium.spaces.Box(-np.inf, np.inf, (30,), np.float64)
NESTED = gymnasium.spaces.Dict({"observation": FLAT, "achieved_goal": gymnasium.spaces.Box(-9, 9, (7,), np.float64)})


def source(
    id: str, tasks: Any = TASKS, obs: str = "pose", keys: Any = ("observation",), **options: Any
) -> MinariSource:
    return MinariSource(id, keys, reading=KitchenReading(tasks, obs), **options)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("MINARI_REMOTE", raising=False)
    return tmp_path / "store"


def _episodes(*lengths: int) -> list[tuple[Any, Any]]:
    """Pairs of observations (T + 1, 59) and actions (T, 9); the last task is done only after the last action."""
    orders = [ORDERS[number % 2] if steps > 1 else () for number, steps in enumerate(lengths)]
    return [
        (full(poses(order, steps + 1)), actions(steps, seed))
        for seed, (order, steps) in enumerate(zip(orders, lengths, strict=True))
    ]


def _write_nested(episodes: list[tuple[Any, Any]]) -> None:
    write_minari(
        ID, [({"observation": o, "achieved_goal": np.zeros((len(o), 7))}, action) for o, action in episodes], NESTED
    )


def test_the_layout_of_d4rl_kitchen_v2_is_read(store: Path) -> None:
    episodes = _episodes(12, 14)
    _write_nested(episodes)
    demonstrations = source(ID, TASKS).load()
    assert [episode.completed for episode in demonstrations] == ORDERS
    for episode, (observations, action) in zip(demonstrations, episodes, strict=True):
        assert episode.states.shape == (len(action), 30)
        assert episode.states.dtype == episode.actions.dtype == np.float32
        np.testing.assert_array_equal(episode.states[:, :9], observations[:-1, :9].astype(np.float32))
        np.testing.assert_array_equal(episode.states[:, 9:], observations[:-1, 18:39].astype(np.float32))
        np.testing.assert_array_equal(episode.actions, action)
    assert (demonstrations.tasks, demonstrations.source) == (TASKS, f"minari: {ID} (observation)")


def test_flat_observations_are_read(store: Path) -> None:
    episodes = _episodes(12, 14)
    write_minari(ID, episodes, FLAT)
    demonstrations = source(ID, TASKS, obs="full").load()
    np.testing.assert_array_equal(demonstrations.episodes[0].states, episodes[0][0][:-1].astype(np.float32))
    assert [episode.completed for episode in demonstrations] == ORDERS


def test_poses_are_read_but_hold_no_velocities(store: Path) -> None:
    episode = (poses(ORDERS[0], 10).astype(np.float32), actions(9))
    write_minari(ID, [episode], gymnasium.spaces.Box(-np.inf, np.inf, (30,), np.float32))
    np.testing.assert_array_equal(source(ID, TASKS).load().episodes[0].states, episode[0][:-1])
    with pytest.raises(UserError, match=r"obs=full are 59 and 9"):
        source(ID, TASKS, obs="full").load()


def test_episodes_of_length_one_are_dropped(store: Path) -> None:
    _write_nested(_episodes(1, 14, 1))
    demonstrations = source(ID, TASKS).load()
    assert [len(episode) for episode in demonstrations] == [14]


def test_nothing_but_short_episodes_is_refused(store: Path) -> None:
    _write_nested(_episodes(1, 1))
    with pytest.raises(UserError, match=rf"minari: {ID} \(observation\) holds no episode of two steps or more"):
        source(ID, TASKS).load()


def test_an_absent_set_names_the_ids_that_are_there(store: Path) -> None:
    _write_nested(_episodes(12))
    with pytest.raises(UserError, match=rf"absent-v0 is not in the local store; .*: {ID}; data\.download=true"):
        source("absent-v0", TASKS).load()


def test_malformed_ids_and_unknown_tasks_and_obs_are_refused() -> None:
    for id in ("no version", "kitchen", "../kitchen-v0"):
        with pytest.raises(UserError, match=r"is no Minari id; a valid one is D4RL/kitchen/mixed-v2"):
            source(id, TASKS)
    with pytest.raises(UserError, match=r"the valid tasks are"):
        source(ID, ["oven"])
    with pytest.raises(UserError, match=r"unknown obs 'video'; the valid ones are pose, full"):
        source(ID, TASKS, obs="video")


def test_a_download_without_a_network_fails_at_once_and_leaves_nothing(store: Path) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=r"downloading .* failed \(no connection to http://127\.0\.0\.1:9") as refused:
        source(ID, TASKS, download=True).load()
    assert time.monotonic() - started < 5.0
    assert "\n" not in str(refused.value)
    assert not get_dataset_path(ID).exists()


def test_a_download_that_breaks_off_leaves_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(id: str) -> None:
        (get_dataset_path(id) / "data").mkdir(parents=True)
        raise RuntimeError("the line\nis dead")

    monkeypatch.setattr("autonomy.data.minari._check_connection", lambda: None)
    monkeypatch.setattr(minari, "download_dataset", breaks_off)
    with pytest.raises(UserError, match=r"failed \(the line is dead\)"):
        source(ID, TASKS, download=True).load()
    assert not get_dataset_path(ID).exists()


def test_a_download_is_not_asked_for_when_the_set_is_there(store: Path) -> None:
    _write_nested(_episodes(12))
    assert len(source(ID, TASKS, download=True).load()) == 1


def test_an_unknown_remote_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_REMOTE", "ftp://somewhere")
    with pytest.raises(UserError, match=r"unknown server 'ftp'; the valid ones are hf, gcp"):
        source(ID, TASKS, download=True).load()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_set_is_refused(store: Path, share: float) -> None:
    _write_nested(_episodes(12, 14))
    file = get_dataset_path(ID) / "data" / "main_data.hdf5"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"Minari data set {ID} is damaged"):
        source(ID, TASKS).load()


@pytest.mark.parametrize("name", ["main_data.hdf5", "metadata.json"])
def test_a_set_with_a_missing_file_is_refused(store: Path, name: str) -> None:
    _write_nested(_episodes(12))
    (get_dataset_path(ID) / "data" / name).unlink()
    with pytest.raises(UserError, match=rf"Minari data set {ID} is damaged"):
        source(ID, TASKS).load()


def test_a_set_of_something_else_is_refused(store: Path) -> None:
    space = gymnasium.spaces.Box(-np.inf, np.inf, (59,), np.float64)
    write_minari(ID, [(full(poses([], 6)), np.zeros((5, 4), np.float32))], space)
    with pytest.raises(UserError, match=r"episode 0: .*valid widths .* and 9"):
        source(ID, TASKS).load()
    shutil.rmtree(get_dataset_path(ID))
    write_minari(ID, [({"pixels": np.zeros((6, 3))}, actions(5))], gymnasium.spaces.Dict({"pixels": FLAT}))
    with pytest.raises(UserError, match=r"episode 0: no observation 'observation'; data\.keys names some of pixels"):
        source(ID, TASKS).load()


def test_actions_and_observations_that_are_no_numbers_are_refused(store: Path) -> None:
    episodes = _episodes(12, 14)
    episodes[1][1][3, 2] = np.nan
    _write_nested(episodes)
    with pytest.raises(UserError, match=rf"{ID}, episode 1: action nan in row 3, dimension 2; valid actions"):
        source(ID, TASKS).load()
    shutil.rmtree(get_dataset_path(ID))
    episodes = _episodes(12)
    episodes[0][0][5, 58] = np.inf
    _write_nested(episodes)
    with pytest.raises(UserError, match=r"episode 0: observation inf in row 5, dimension 58"):
        source(ID, TASKS).load()


def test_labels_are_the_task_that_completes_next(store: Path) -> None:
    _write_nested(_episodes(12, 14))
    demonstrations = source(ID, TASKS).load()
    assert demonstrations.intents == ("microwave", "kettle", "bottom burner", "light switch", "hinge cabinet")
    first = demonstrations.episodes[0].intents
    assert first is not None
    np.testing.assert_array_equal(first, [1] * 4 + [0] * 4 + [3] * 4)  # the last step's arrival shows after it


def test_the_sets_own_labels_win(store: Path) -> None:
    values = [np.repeat([2, -1], 6), np.repeat([5, 2], [5, 10])]  # T and T + 1, which begins with the reset's
    infos: list[dict[str, Any] | None] = [{"task_index": list(value)} for value in values]
    write_minari(ID, _episodes(12, 14, 13), FLAT, [*infos, None])
    demonstrations = source(ID, TASKS, intents="task_index").load()
    assert demonstrations.intents == ("2", "5")
    first, second, third = (episode.intents for episode in demonstrations)
    np.testing.assert_array_equal(first, np.repeat([0, -1], 6))
    np.testing.assert_array_equal(second, np.repeat([1, 0], [5, 9]))
    assert third is None


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0] * 9, r"episode 0: infos 'task_index' has shape \(9,\) .* labels are \(12,\) or \(13,\) whole numbers"),
        ([0.5] * 12, r"episode 0: infos 'task_index' has shape \(12,\) and type float64"),
        ([-3] * 12, r"episode 0: infos 'task_index': label -3 in row 0; the valid ones are -1 \(none\) and 0 to 99"),
        (list(range(90, 102)), r"episode 0: infos 'task_index': label 100 in row 10; the valid ones are"),
        (["kettle"] * 12, r"episode 0: infos 'task_index' has shape \(12,\) and type object"),
    ],
)
def test_labels_that_do_not_fit_are_refused(store: Path, labels: list[Any], sentence: str) -> None:
    write_minari(ID, _episodes(12), FLAT, [{"task_index": labels}])
    with pytest.raises(UserError, match=sentence):
        source(ID, TASKS, intents="task_index").load()


def test_labels_that_no_episode_has_are_refused(store: Path) -> None:
    write_minari(ID, _episodes(12), FLAT, [{"task_index": [0] * 12, "phase": [0] * 12}])
    with pytest.raises(UserError, match=r"no episode of .* has infos 'fase'; .*names one of: phase, task_index$"):
        source(ID, TASKS, intents="fase").load()
    shutil.rmtree(get_dataset_path(ID))
    write_minari(ID, _episodes(12), FLAT)
    with pytest.raises(UserError, match=r"has infos 'fase'; data\.intents names one of: none are there$"):
        source(ID, TASKS, intents="fase").load()


def test_any_robot_s_dict_is_laid_end_to_end_in_the_order_asked(store: Path) -> None:
    episodes = _episodes(12)
    _write_nested(episodes)
    plain = MinariSource(ID).load()
    assert plain.source == f"minari: {ID} (achieved_goal, observation)"
    assert plain.episodes[0].states.shape == (12, 66)
    chosen = MinariSource(ID, ["observation", "achieved_goal"]).load()
    np.testing.assert_array_equal(chosen.episodes[0].states[:, :59], plain.episodes[0].states[:, 7:])
    assert (chosen.box, chosen.intents, chosen.episodes[0].intents) == (None, (), None)


def test_images_and_discrete_actions_are_refused(store: Path) -> None:
    image = gymnasium.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    write_minari(ID, [(np.zeros((6, 4, 4, 3), np.uint8), actions(5))], image)
    with pytest.raises(UserError, match=r"observation observation have shape .*no images and no texts"):
        MinariSource(ID).load()
    shutil.rmtree(get_dataset_path(ID))
    write_minari(ID, [(poses([], 6), np.arange(5) % 2)], POSE, action_space=gymnasium.spaces.Discrete(2))
    with pytest.raises(UserError, match=r"actions are discrete or no vectors"):
        MinariSource(ID).load()
