"""Training rows know their intents and episodes; batches are single rows, or windows within episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from autonomy.batches import Rows, SingleRows, Windows
from autonomy.fit import TrainingSettings, fit
from autonomy.run_directory import RunDirectory
from autonomy.types import Demonstrations, Episode, UserError
from tests.laws import generator


def episode(start: int, steps: int, intents: list[int] | None = None) -> Episode:
    numbers = np.arange(start, start + steps, dtype=np.float32)[:, None]
    return Episode(numbers, numbers / 100, intents=None if intents is None else np.array(intents))


def rows() -> Rows:
    episodes = (episode(0, 4, [0, 0, -1, 1]), episode(4, 2), episode(6, 3, [1, 0, 0]))
    return Rows.of(Demonstrations(episodes, (), "test", ("kettle", "light")))


def test_rows_know_the_intent_the_one_before_and_where_an_episode_begins() -> None:
    intents, before, first, weights = (column.tolist() for column in rows()[2:])
    assert intents == [0, 0, 2, 1, -1, -1, 1, 0, 0]
    assert before == [0, 0, 0, 2, -1, -1, 1, 1, 0]
    assert [index for index, begins in enumerate(first) if begins] == [0, 4, 6]
    assert weights == [1.0] * 9
    assert rows().intents.dtype == rows().before.dtype == torch.int64
    assert rows().states.squeeze(1).tolist() == list(range(9))


def test_rows_of_states_and_actions_alone_know_no_intents() -> None:
    plain = Rows(torch.zeros(3, 2), torch.zeros(3, 1))
    assert [column.tolist() for column in plain[2:]] == [[-1] * 3, [-1] * 3, [True] * 3, [1.0] * 3]


def test_single_rows_are_drawn_with_replacement_by_the_generator_alone() -> None:
    drawn = SingleRows(rows()).draw(100, generator(4))
    assert torch.equal(drawn, torch.randint(9, (100,), generator=generator(4)))


def test_windows_stay_within_an_episode_and_begin_wherever_they_fit() -> None:
    windows = Windows(rows(), 3)
    drawn = rows().at(windows.draw(300, generator())).states.squeeze(2)
    assert drawn.shape == (100, 3)
    assert {tuple(window) for window in drawn.tolist()} == {(0, 1, 2), (1, 2, 3), (6, 7, 8)}
    assert windows.all().tolist() == [[0, 1, 2], [6, 7, 8]]
    assert len(windows.draw(2, generator())) == 1


def test_a_window_longer_than_every_episode_is_refused() -> None:
    with pytest.raises(UserError, match=r"no episode has the 5 rows of a window; .* the valid windows are 1 to 4"):
        Windows(rows(), 5)


class Reading(nn.Module):
    """Keeps every batch that it is trained on."""

    window = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[Rows] = []

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor:
        self.seen.append(batch)
        return (batch.actions - self.weight).square().mean()


def test_the_loop_hands_on_windows_of_all_columns(tmp_path: Path) -> None:
    model, run = Reading(), RunDirectory.create(tmp_path / "run", OmegaConf.create({"env": {}, "assistant": {}}))
    fit(model, rows(), rows(), TrainingSettings(steps=2, batch_size=8, state_noise=0.1), run)
    *training, validation = model.seen
    assert [batch.states.shape for batch in model.seen] == [(4, 2, 1), (4, 2, 1), (4, 2, 1)]
    assert validation.intents.tolist() == [[0, 0], [2, 1], [-1, -1], [1, 0]]
    for batch in training:
        place = (100 * batch.actions.squeeze(2)).round().long()
        assert torch.equal(batch.intents, rows().intents[place])
        assert torch.equal(batch.first, rows().first[place])
        assert not torch.equal(batch.states.squeeze(2), place.float())  # the noise
