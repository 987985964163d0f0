"""D4RL's HDF5 files: episodes, relabelling, and every way that a file can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from autonomy.data.d4rl import D4RLSource
from autonomy.types import UserError
from tests.data_files import d4rl_arrays, write_hdf5

TASKS = ("microwave", "kettle", "bottom burner", "light switch")
ORDERS = [("kettle", "microwave"), ("hinge cabinet",), ("light switch", "kettle", "top burner")]
Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def arrays() -> Arrays:
    return d4rl_arrays(ORDERS)


def test_episodes_end_at_terminals_and_lose_the_goal(tmp_path: Path, arrays: Arrays) -> None:
    demonstrations = D4RLSource(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9, 9, 9]
    assert [episode.completed for episode in demonstrations] == ORDERS
    states, actions = demonstrations.rows()
    np.testing.assert_array_equal(states, arrays["observations"][:, :30])
    np.testing.assert_array_equal(actions, arrays["actions"])
    assert states.dtype == actions.dtype == np.float32
    assert (demonstrations.tasks, demonstrations.source) == (TASKS, "d4rl: a.hdf5")


def test_timeouts_end_episodes_too(tmp_path: Path, arrays: Arrays) -> None:
    arrays["timeouts"] = np.zeros(27, bool)
    arrays["timeouts"][[3, 8]] = True  # row 8 is a terminal as well
    lengths = [len(e) for e in D4RLSource(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()]
    assert lengths == [4, 5, 9, 9]
    del arrays["terminals"]
    lengths = [len(e) for e in D4RLSource(str(write_hdf5(tmp_path / "b.hdf5", arrays)), TASKS).load()]
    assert lengths == [4, 5, 18]


def test_rows_after_the_last_end_are_an_episode(tmp_path: Path, arrays: Arrays) -> None:
    arrays["terminals"][-1] = 0.0
    demonstrations = D4RLSource(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9, 9, 9]
    assert demonstrations.episodes[-1].completed == ORDERS[-1]


def test_only_observations_actions_and_an_end_are_needed(tmp_path: Path, arrays: Arrays) -> None:
    del arrays["rewards"]
    arrays["observations"] = arrays["observations"].astype(np.float64)
    arrays["terminals"] = arrays["terminals"].reshape(-1, 1).astype(np.uint8)
    assert len(D4RLSource(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()) == 3


def test_several_files_never_share_an_episode(tmp_path: Path, arrays: Arrays) -> None:
    arrays["terminals"][-1] = 0.0
    files = [str(write_hdf5(tmp_path / name, arrays)) for name in ("a.hdf5", "b.hdf5")]
    demonstrations = D4RLSource(files, TASKS).load()
    assert [len(episode) for episode in demonstrations] == [9] * 6
    assert demonstrations.source == "d4rl: a.hdf5, b.hdf5"


def test_no_path_and_velocities_and_unknown_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path=FILE"):
        D4RLSource(None, TASKS)
    with pytest.raises(UserError, match=r"data\.path=FILE"):
        D4RLSource([], TASKS)
    with pytest.raises(UserError, match=r"the valid one is obs=pose"):
        D4RLSource("a.hdf5", TASKS, obs="full")
    with pytest.raises(UserError, match=r"the valid tasks are microwave"):
        D4RLSource("a.hdf5", ["oven"])


def _refusal(file: Path) -> str:
    with pytest.raises(UserError) as refused:
        D4RLSource(str(file), TASKS).load()
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
    assert f"no {key} in it; a D4RL kitchen file holds observations (N, 60)" in _refusal(
        write_hdf5(tmp_path / "a.hdf5", arrays)
    )


def test_a_file_that_never_says_where_episodes_end_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    del arrays["terminals"]
    assert "no terminals or timeouts" in _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("observations", lambda array: array[:, :59]),
        ("observations", lambda array: array[:-1]),
        ("observations", lambda array: array[:, 0]),
        ("observations", lambda array: array.astype("S8")),
        ("actions", lambda array: array[:, :8]),
        ("actions", lambda array: array[:-1]),
        ("actions", lambda array: array[0, 0]),
        ("terminals", lambda array: array[:-1]),
        ("terminals", lambda array: np.stack([array, array], axis=1)),
    ],
)
def test_wrong_shapes_are_refused(tmp_path: Path, arrays: Arrays, key: str, change: Callable[[Any], Any]) -> None:
    arrays[key] = change(arrays[key])
    sentence = _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))
    assert "has shape" in sentence
    assert "observations (N, 60), actions (N, 9)" in sentence


def test_an_empty_file_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    empty = {key: array[:0] for key, array in arrays.items()}
    assert "N >= 1" in _refusal(write_hdf5(tmp_path / "a.hdf5", empty))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -1.001])
def test_actions_out_of_range_are_refused(tmp_path: Path, arrays: Arrays, value: float) -> None:
    arrays["actions"][11, 4] = value
    sentence = _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))
    assert f"action {value:g} in row 11, dimension 4; valid actions are finite numbers between -1 and 1" in sentence


def test_nan_observations_are_refused_but_goals_do_not_matter(tmp_path: Path, arrays: Arrays) -> None:
    arrays["observations"][3, 45] = np.nan
    assert len(D4RLSource(str(write_hdf5(tmp_path / "goal.hdf5", arrays)), TASKS).load()) == 3
    arrays["observations"][3, 5] = np.nan
    assert "observation nan in row 3, dimension 5" in _refusal(write_hdf5(tmp_path / "a.hdf5", arrays))


def test_actions_at_the_limits_are_valid(tmp_path: Path, arrays: Arrays) -> None:
    arrays["actions"][0] = 1.0
    arrays["actions"][1] = -1.0
    assert len(D4RLSource(str(write_hdf5(tmp_path / "a.hdf5", arrays)), TASKS).load()) == 3
