"""Recordings of any robot: npz, HDF5, several sources, and the box that their actions are scaled by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from autonomy.batches import Batches, Rows
from autonomy.data.card import Card
from autonomy.data.hdf5 import HDF5Source
from autonomy.data.load import demonstrations_of, load
from autonomy.data.mix import MixSource
from autonomy.data.npz import NpzSource
from autonomy.types import ActionBox, Demonstrations, Episode, UserError
from tests.data_files import write_hdf5

RNG = np.random.default_rng(0)


class Given:
    """A source that holds what it was given."""

    def __init__(self, *episodes: Episode, **options: Any) -> None:
        self._demonstrations = Demonstrations(episodes, (), "given", **options)

    def load(self) -> Demonstrations:
        return self._demonstrations


def episode(actions: Any, states: Any = None, **options: Any) -> Episode:
    actions = np.asarray(actions, np.float32)
    return Episode(np.zeros((len(actions), 2), np.float32) if states is None else states, actions, **options)


def recording(path: Path, **changes: Any) -> str:
    """An npz file of three episodes, 7 rows: joints, a gripper, labels; `changes` replace arrays, None leaves out."""
    arrays = {
        "joints": RNG.normal(size=(7, 3)),
        "cube": RNG.normal(size=7),
        "arm": RNG.uniform(-200, 100, (7, 2)),
        "gripper": np.full(7, 3.0),
        "episode_ends": np.array([2, 2, 7]),
        "task": np.array([0, 1, 1, -1, 0, 0, 0]),
        "task_names": np.array(["lift", "place"]),
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


def npz(path: str, **changes: Any) -> NpzSource:
    return NpzSource(
        path, **({"states": ["joints", "cube"], "actions": ["arm", "gripper"], "intents": "task"} | changes)
    )


def test_npz_arrays_are_laid_side_by_side_and_cut_into_episodes(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.npz")
    content = np.load(path)
    found = npz(path).load()
    assert [len(one) for one in found] == [2, 5]
    np.testing.assert_array_equal(found.episodes[1].states[:, 3], content["cube"][2:].astype(np.float32))
    np.testing.assert_array_equal(found.episodes[0].actions[:, :2], content["arm"][:2].astype(np.float32))
    assert found.intents == ("lift", "place")
    assert [one.intents.tolist() for one in found if one.intents is not None] == [[0, 1], [1, -1, 0, 0, 0]]
    assert npz(recording(tmp_path / "b.npz", task_names=None)).load().intents == ("0", "1")
    assert [len(one) for one in npz(recording(tmp_path / "c.npz", episode_ends=None)).load()] == [7]


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, {"states": "eyes"}, "no 'eyes' in it; data.states names"),
        ({}, {"actions": "task_names"}, "are vectors of numbers"),
        ({"joints": np.zeros((7, 4, 4, 3))}, {}, "images and texts are not supported"),
        ({"cube": np.zeros(6)}, {}, "the arrays of states have 7, 6 rows"),
        ({"arm": np.zeros((5, 2)), "gripper": np.zeros(5)}, {}, "7 states and 5 actions"),
        ({"episode_ends": np.array([2, 6])}, {}, "grow up to 7"),
        ({"episode_ends": np.array([5, 2, 7])}, {}, "grow up to 7"),
        ({"task": np.array([0, 1, 2, 0, 0, 0, 0])}, {}, "label 2 in row 2"),
        ({}, {"intents": "phase"}, "no 'phase' in it; data.intents names one of"),
    ],
)
def test_npz_files_that_do_not_fit_are_one_sentence(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        npz(recording(tmp_path / "a.npz", **changes), **options).load()
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    objects = tmp_path / "objects.npz"
    np.savez(objects, states=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no recording")
    for source, words in [
        (NpzSource(str(objects)), "Python objects in it"),
        (NpzSource(str(tmp_path / "text.npz")), "no npz file"),
        (NpzSource(str(tmp_path / "none.npz")), "there is no such file"),
        (HDF5Source(str(tmp_path / "none.hdf5")), "there is no such file"),
        (HDF5Source(str(tmp_path / "text.npz")), "no HDF5 file"),
    ]:
        with pytest.raises(UserError, match=words):
            source.load()
    for made in (NpzSource, HDF5Source):
        with pytest.raises(UserError, match=r"data\.path=FILE"):
            made(None)


def test_hdf5_of_any_robot(tmp_path: Path) -> None:
    arrays = {
        "observations": RNG.normal(size=(6, 5)),
        "actions": RNG.normal(size=(6, 2)),
        "terminals": np.zeros(6),
        "timeouts": np.array([0, 1, 0, 0, 0, 1]),
    }
    path = str(write_hdf5(tmp_path / "a.hdf5", arrays))
    with h5py.File(path, "a") as content:
        content["infos/force"] = np.arange(6.0)
    found = HDF5Source(path, states=["observations", "infos/force"]).load()
    assert [len(one) for one in found] == [2, 4]
    assert found.episodes[1].states[:, 5].tolist() == [2, 3, 4, 5]
    assert found.box is None
    for changes, words in [
        ({"timeouts": None, "terminals": None}, "6 actions and no ends; .*terminals .* or timeouts"),
        ({"timeouts": np.zeros(5)}, "terminals and timeouts"),
        ({"actions": np.zeros((5, 2))}, "6 states, 5 actions"),
        ({"observations": np.zeros((6, 8, 8, 3), np.uint8)}, "images and texts are not supported"),
    ]:
        kept = {name: array for name, array in (arrays | changes).items() if array is not None}
        with pytest.raises(UserError, match=words):
            HDF5Source(str(write_hdf5(tmp_path / "b.hdf5", kept))).load()


def test_actions_are_scaled_by_what_the_data_span() -> None:
    actions = [[-100, 5, 0.5], [300, 5, 0.25]]
    found = load(Given(episode(actions)), margin=0.25)
    assert found.box == ActionBox((-200.0, 4.0, 0.25 - 0.0625), (400.0, 6.0, 0.5 + 0.0625))
    np.testing.assert_allclose(found.episodes[0].actions, [[-2 / 3, 0, 2 / 3], [2 / 3, 0, -2 / 3]], rtol=1e-6)
    np.testing.assert_allclose(found.box.unscaled(found.episodes[0].actions), actions, rtol=1e-6)
    assert found.clipped == ()
    card = Card.of(found)
    assert card.constant == ("1",)
    assert "these action dimensions never change" in card.text()


def test_actions_inside_the_unit_box_stay_as_they_are() -> None:
    actions = RNG.uniform(-1, 1, (5, 3)).astype(np.float32)
    found = load(Given(episode(actions)))
    np.testing.assert_array_equal(found.episodes[0].actions, actions)
    assert found.box == ActionBox.unit(3)


def test_actions_beyond_a_box_are_clipped_and_counted_or_refused() -> None:
    source, box = Given(episode([[0, 3], [4, 1], [-1, 1], [2, 1]])), {"low": [0.0, 0.0], "high": [2.0, 4.0]}
    found = load(source, box)
    assert found.episodes[0].actions.tolist() == [[-1, 0.5], [1, -0.5], [-1, -0.5], [1, -0.5]]
    assert found.clipped == (0.5, 0.0)
    card = Card.of(found)
    assert (card.clipped, "clipped       0: 50.0%" in card.text()) == ((0.5, 0.0), True)
    with pytest.raises(UserError, match=r"row 1, dimension 0 lies beyond \[0, 2\].*beyond=clip"):
        load(source, box, beyond="refuse")
    with pytest.raises(UserError, match="clip, refuse"):
        load(source, box, beyond="keep")
    with pytest.raises(UserError, match="has 2 dimensions, the actions of the data have 1"):
        load(Given(episode([[1.0]])), box)
    with pytest.raises(UserError, match="larger high"):
        load(source, {"low": [0.0, 0.0], "high": [2.0, 0.0]})


def test_a_source_that_has_scaled_its_actions_is_left_alone() -> None:
    given = Given(episode([[0.5]]), box=ActionBox((0.0,), (9.0,)))
    assert load(given, {"low": [0.0], "high": [1.0]}) == given.load()


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (episode([[np.nan]]), "episode 1: actions are nan in row 0, dimension 0"),
        (episode([[0.0]], np.array([[0, np.inf]])), "states are inf in row 0, dimension 1"),
        (episode([[0.0]], np.zeros((2, 2))), "2 states and 1 actions"),
        (episode([[0.0, 0.0]]), r"shape \(1, 2\).*like those of the first"),
        (episode([[0.0]], np.zeros((1, 2, 2))), r"shape \(1, 2, 2\)"),
        (episode(np.zeros((0, 1))), r"shape \(0, 2\)"),
        (episode([[0.0]], np.array([["a", "b"]])), "vectors of numbers"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_one_sentence(second: Episode, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load(Given(episode([[0.0]]), second))


def test_a_configuration_may_say_nothing_of_actions() -> None:
    class_ = f"{Given.__module__}.Two"
    assert demonstrations_of(OmegaConf.create({"data": {"_target_": class_}})).box == ActionBox((-0.1,), (2.1,))
    config = OmegaConf.create({"data": {"_target_": class_}, "actions": {"box": {"low": [0], "high": [4]}}})
    assert demonstrations_of(config).episodes[0].actions.tolist() == [[-1], [0]]


class Two(Given):
    """Two actions, 0 and 2."""

    def __init__(self) -> None:
        super().__init__(episode([[0.0], [2.0]]))


def test_sources_are_mixed_with_their_labels_and_weights() -> None:
    first = Given(episode([[0.0]], intents=np.array([0])), intents=("lift",))
    second = Given(episode([[1.0]], intents=np.array([1])), episode([[1.0]]), intents=("push", "lift"))
    found = MixSource([first, second], [1, 3]).load()
    assert found.intents == ("lift",)
    assert [None if one.intents is None else one.intents.tolist() for one in found] == [[0], [0], None]
    assert [one.weight for one in found] == [1, 3, 3]
    rows = Rows.of(found)
    drawn = Batches.of(torch.nn.Identity(), rows).draw(7000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=3) / 7000
    torch.testing.assert_close(counts, torch.tensor([1 / 7, 3 / 7, 3 / 7]), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MixSource([]), "one or more sources"),
        (lambda: MixSource([Given(), Given()], [1]), "1 for 2 sources"),
        (lambda: MixSource([Given()], [0]), "data.weights must be"),
        (lambda: MixSource([Given(episode([[0.0]])), Given(episode([[0.0, 0.0]]))]).load(), "the actions of given"),
        (
            lambda: MixSource([Given(episode([[0.0]])), Given(episode([[0.0]]), box=ActionBox.unit(1))]).load(),
            "scale their actions in different ways",
        ),
    ],
)
def test_sources_that_cannot_be_mixed_are_one_sentence(make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
