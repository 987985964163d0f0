"""D4RL's HDF5 files: episodes, relabelling, and every way that a file can be wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from autonomy.data.hdf5 import HDF5Source
from autonomy.data.labels import stretches
from autonomy.types import Demonstrations, UserError
from envs.kitchen import tasks as kitchen
from envs.kitchen.recordings import KitchenReading
from tests.data_files import HUMAN, d4rl_arrays, write_hdf5

TASKS = ("microwave", "kettle", "bottom burner", "light switch")
ORDERS = [("kettle", "microwave"), ("hinge cabinet",), ("light switch", "kettle", "top burner")]
Arrays = dict[str, NDArray[Any]]


def source(path: Any, tasks: Any = TASKS, obs: str = "pose", intents: str | None = None) -> HDF5Source:
    return HDF5Source(path, intents=intents, reading=KitchenReading(tasks, obs))


@pytest.fixture
def arrays() -> Arrays:
    return d4rl_arrays(ORDERS)


def test_episodes_end_at_terminals_and_lose_the_goal(tmp_path: Path, arrays: Arrays) -> None:
    demonstrations = source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9, 9, 9]
    assert [episode.completed for episode in demonstrations] == ORDERS
    states, actions = demonstrations.rows()
    np.testing.assert_array_equal(states, arrays["observations"][:, :30])
    np.testing.assert_array_equal(actions, arrays["actions"])
    assert states.dtype == actions.dtype == np.float32
    assert (demonstrations.tasks, demonstrations.source) == (TASKS, "hdf5: a.hdf5")


def test_timeouts_end_episodes_too(tmp_path: Path, arrays: Arrays) -> None:
    arrays["timeouts"] = np.zeros(27, bool)
    arrays["timeouts"][[3, 8]] = True  # row 8 is a terminal as well
    lengths = [len(e) for e in source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()]
    assert lengths == [4, 5, 9, 9]
    del arrays["terminals"]
    lengths = [len(e) for e in source(str(write_hdf5(tmp_path / "b.hdf5", arrays)), TASKS).load()]
    assert lengths == [4, 5, 18]


def test_rows_after_the_last_end_are_an_episode(tmp_path: Path, arrays: Arrays) -> None:
    arrays["terminals"][-1] = 0.0
    demonstrations = source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9, 9, 9]
    assert demonstrations.episodes[-1].completed == ORDERS[-1]


def test_only_observations_actions_and_an_end_are_needed(tmp_path: Path, arrays: Arrays) -> None:
    del arrays["rewards"]
    arrays["observations"] = arrays["observations"].astype(np.float64)
    arrays["terminals"] = arrays["terminals"].reshape(-1, 1).astype(np.uint8)
    assert len(source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()) == 3


def test_several_files_never_share_an_episode(tmp_path: Path, arrays: Arrays) -> None:
    arrays["terminals"][-1] = 0.0
    files = [str(write_hdf5(tmp_path / name, arrays)) for name in ("a.hdf5", "b.hdf5")]
    demonstrations = source(files, TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9] * 6
    assert demonstrations.source == "hdf5: a.hdf5, b.hdf5"


def test_no_path_and_velocities_and_unknown_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path=FILE"):
        source(None, TASKS)
    with pytest.raises(UserError, match=r"data\.path=FILE"):
        source([], TASKS)
    with pytest.raises(UserError, match=r"unknown obs 'video'; the valid ones are pose, full"):
        source("a.hdf5", TASKS, obs="video")
    with pytest.raises(UserError, match=r"the valid tasks are microwave"):
        source("a.hdf5", ["oven"])


def _refusal(file: Path) -> str:
    with pytest.raises(UserError) as refused:
        source(str(file), TASKS).load()
    sentence = str(refused.value)
    assert file.name in sentence
    assert "\n" not in sentence
    return sentence


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in _refusal(tmp_path / "nowhere.hdf5")
    assert "there is no such file" in _refusal(tmp_path)  # a folder


def test_a_truncated_file_is_refused_wherever_it_was_cut(tmp_path: Path, arrays: Arrays) -> None:
    content = write_hdf5(tmp_path / "a.hdf5", arrays).read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        cut = tmp_path / f"cut-{share}.hdf5"
        cut.write_bytes(content[: int(len(content) * share)])
        assert "truncated" in _refusal(cut)


def test_damaged_rows_are_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = tmp_path / "a.hdf5"
    with h5py.File(file, "w") as content:
        for key, array in arrays.items():
            content.create_dataset(key, data=array, chunks=True, fletcher32=True)
        start = content["actions"].id.get_chunk_info(0).byte_offset
    raw = bytearray(file.read_bytes())
    raw[start + 8] ^= 0xFF
    file.write_bytes(raw)
    assert "damaged" in _refusal(file)


def test_something_else_than_hdf5_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.hdf5"
    file.write_text("not a data set")
    assert "no HDF5 file" in _refusal(file)


@pytest.mark.parametrize("key", ["observations", "actions"])
def test_a_missing_array_is_refused(tmp_path: Path, arrays: Arrays, key: str) -> None:
    del arrays[key]
    assert f"no '{key}' in it; data." in _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))


def test_a_file_that_never_says_where_episodes_end_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    del arrays["terminals"]
    assert "no ends; a row has one of each, and an episode ends where terminals" in _refusal(
        write_hdf5(tmp_path / "a.hdf5", arrays)
    )


@pytest.mark.parametrize(
    ("key", "change", "sentence"),
    [
        ("observations", lambda array: array[:, :58], "observations (9, 58) and actions (9, 9); valid widths"),
        ("observations", lambda array: array[:-1], "26 states, 27 actions"),
        ("observations", lambda array: array[:, 0], "observations (9, 1) and actions (9, 9); valid widths"),
        ("observations", lambda array: array.astype("S8"), "observations has shape (27, 60) and type |S8"),
        ("actions", lambda array: array[:, :8], "observations (9, 60) and actions (9, 8); valid widths"),
        ("actions", lambda array: array[:-1], "27 states, 26 actions"),
        ("actions", lambda array: array[0, 0], "actions has shape ()"),
        ("terminals", lambda array: array[:-1], "a row has one of each"),
        ("terminals", lambda array: np.stack([array, array], axis=1), "a row has one of each"),
    ],
)
def test_wrong_shapes_are_refused(
    tmp_path: Path, arrays: Arrays, key: str, change: Callable[[Any], Any], sentence: str
) -> None:
    arrays[key] = change(arrays[key])
    assert sentence in _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))


def test_files_without_velocities_give_no_full_observations(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(UserError, match=r"valid widths with obs=full are 59 and 9"):
        source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), obs="full").load()


def test_an_empty_file_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    empty = {key: array[:0] for key, array in arrays.items()}
    assert "holds no row" in _refusal(write_hdf5(tmp_path / "a.hdf5", empty))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -1.001])
def test_actions_out_of_range_are_refused(tmp_path: Path, arrays: Arrays, value: float) -> None:
    arrays["actions"][11, 4] = value
    sentence = _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))
    assert (
        f"episode 1: action {value:g} in row 2, dimension 4; valid actions are finite numbers between -1 and 1"
        in sentence
    )


def test_nan_observations_are_refused_but_goals_do_not_matter(tmp_path: Path, arrays: Arrays) -> None:
    arrays["observations"][3, 45] = np.nan
    assert len(source(str(write_hdf5(tmp_path / "goal.hdf5", arrays)), TASKS).load()) == 3
    arrays["observations"][3, 5] = np.nan
    assert "observation nan in row 3, dimension 5" in _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))


def test_actions_at_the_limits_are_valid(tmp_path: Path, arrays: Arrays) -> None:
    arrays["actions"][0] = 1.0
    arrays["actions"][1] = -1.0
    assert len(source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()) == 3


def _labels(demonstrations: Demonstrations) -> list[list[str] | None]:
    """The labels of each episode by name; "" for none of them."""
    names = (*demonstrations.intents, "")
    return [None if e.intents is None else [names[label] for label in e.intents] for e in demonstrations]


def test_labels_are_the_task_that_completes_next(tmp_path: Path, arrays: Arrays) -> None:
    demonstrations = source(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()
    assert demonstrations.intents == ("microwave", "kettle", "top burner", "light switch", "hinge cabinet")
    assert _labels(demonstrations)[:2] == [
        ["kettle"] * 4 + ["microwave"] * 4 + [""],
        ["hinge cabinet"] * 8 + [""],
    ]


def test_a_file_s_own_labels_win(tmp_path: Path, arrays: Arrays) -> None:
    arrays["phase"] = np.repeat([1, -1, 3], 9).astype(np.int8)
    names = ("reach", "grasp", "never", "lift")
    file = write_hdf5(tmp_path / "a.hdf5", arrays, phase=names)
    demonstrations = source(str(file), TASKS, intents="phase").load()
    assert demonstrations.intents == ("grasp", "lift")  # only those that occur
    assert _labels(demonstrations) == [["grasp"] * 9, [""] * 9, ["lift"] * 9]
    assert [episode.completed for episode in demonstrations] == ORDERS
    arrays["phase"] = arrays["phase"].reshape(-1, 1)
    assert source(str(write_hdf5(tmp_path / "b.hdf5", arrays)), TASKS, intents="phase").load().intents == ("1", "3")


def test_files_share_names_and_may_lack_labels(tmp_path: Path, arrays: Arrays) -> None:
    bare = write_hdf5(tmp_path / "bare.hdf5", arrays)
    arrays["phase"] = np.repeat([0, 1, 1], 9)
    files = [
        write_hdf5(tmp_path / "a.hdf5", arrays, phase=["reach", "lift"]),
        write_hdf5(tmp_path / "b.hdf5", arrays, phase=["lift", "pour"]),
    ]
    demonstrations = source(map(str, [*files, bare]), TASKS, intents="phase").load()
    assert demonstrations.intents == ("reach", "lift", "pour")
    firsts = [labels and labels[0] for labels in _labels(demonstrations)]
    assert firsts == ["reach", "lift", "lift", "lift", "pour", "pour", None, None, None]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros(26, int), r"a\.hdf5: phase has shape \(26,\) and type int64; labels are \(27,\) whole numbers"),
        (np.zeros((27, 2), int), r"a\.hdf5: phase has shape \(27, 2\)"),
        (np.zeros(27), r"a\.hdf5: phase has shape \(27,\) and type float64; labels are"),
        (np.full(27, 2), r"a\.hdf5: phase: label 2 in row 0; the valid ones are -1 \(none\) and 0 to 1"),
        (np.full(27, -2), r"a\.hdf5: phase: label -2 in row 0; the valid ones are -1 \(none\) and 0 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, arrays: Arrays, labels: Any, sentence: str) -> None:
    file = write_hdf5(tmp_path / "a.hdf5", {**arrays, "phase": labels}, phase=["reach", "lift"])
    with pytest.raises(UserError, match=sentence):
        source(str(file), TASKS, intents="phase").load()


def test_labels_that_no_file_has_are_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = write_hdf5(tmp_path / "a.hdf5", {**arrays, "phase": np.zeros(27, int)})
    with pytest.raises(UserError, match=r"no dataset 'fase' in .*a\.hdf5; .* and the first file has phase$"):
        source(str(file), TASKS, intents="fase").load()
    with pytest.raises(UserError, match=r"data\.intents must be the name .* or null, got 3"):
        source(str(file), TASKS, intents=3)  # type: ignore[arg-type]


@pytest.mark.skipif(not HUMAN.is_dir(), reason="the human demonstrations (../shared/data/kitchen) are not there")
def test_labels_of_the_human_demonstrations() -> None:
    demonstrations = source(map(str, sorted(HUMAN.glob("*.hdf5"))), TASKS).load()
    assert demonstrations.intents == tuple(task for task in kitchen.TASKS if task != "slide cabinet")
    for episode in demonstrations:
        assert episode.intents is not None
        runs = [demonstrations.intents[run.intent] for run in stretches(episode.intents) if run.intent >= 0]
        assert tuple(runs) == episode.completed


def test_labels_are_quick() -> None:
    poses = np.resize(d4rl_arrays([("kettle", "microwave")], 230)["observations"][:, :30], (600, 230, 30))
    started = time.perf_counter()
    for rows in poses:
        kitchen.next_tasks(rows, len(rows))
    assert time.perf_counter() - started < 1.0  # some 0.1 s for these 138,000 rows
