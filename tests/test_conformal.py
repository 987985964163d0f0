"""Conformal p-values: right for the demonstrators' own actions, however wrong the model is."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from autonomy.batches import Rows, halves
from autonomy.checkpoint import load_assistant
from autonomy.density.conformal import Conformal
from autonomy.run_directory import RunDirectory
from eval.intent import calibration, held_out
from tests.test_intent_program import trained


def wrong(states: Tensor, actions: Tensor, mask: Tensor, generator: torch.Generator | None) -> Tensor:
    """The plausibility of a model that is too narrow, off by one half and blind to the state."""
    return -torch.where(mask, 40 * (actions - 0.5).square(), 0.0).sum(1)


def demonstrated(episodes: int, seed: int, steps: int = 20) -> Rows:
    """Rows whose second action is ten times as noisy as the first."""
    drawing = torch.Generator().manual_seed(seed)
    rows = episodes * steps
    actions = torch.randn(rows, 2, generator=drawing) * torch.tensor([0.1, 1.0])
    return Rows(torch.randn(rows, 3, generator=drawing), actions, first=torch.arange(rows) % steps == 0)


def fitted(episodes: int = 60, seed: int = 0) -> Conformal:
    made = Conformal(3, 2)
    made.fit(demonstrated(episodes, seed), torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("held", [[True, False], [False, True], [True, True]])
def test_p_values_are_uniform_for_each_set_of_held_dimensions(held: list[bool]) -> None:
    rows = demonstrated(200, seed=2)
    p = fitted().p_value(wrong, rows.states, rows.actions, torch.tensor(held).expand(len(rows.states), 2))
    for level in (0.05, 0.1, 0.25, 0.5, 0.9):
        assert (p <= level).double().mean() == pytest.approx(level, abs=0.06)


def test_a_p_value_counts_the_demonstrated_rows_that_are_at_most_as_plausible() -> None:
    made = Conformal(1, 2)
    actions = torch.tensor([[0.5, 9.0], [0.7, 9.0], [0.9, 9.0], [0.0, 0.0]])  # the last one is another episode's
    made.fit(Rows(torch.zeros(4, 1), actions, first=torch.tensor([True, False, False, True])), torch.Generator())
    asked, mask = torch.tensor([[0.6, 0.0], [2.0, 0.0], [0.5, 0.0]]), torch.tensor([[True, False]] * 3)
    assert made.p_value(wrong, torch.zeros(3, 1), asked, mask).tolist() == [0.75, 0.25, 1.0]


def test_rows_with_different_sets_stand_side_by_side() -> None:
    made, rows = fitted(), demonstrated(5, seed=3)
    mask = torch.rand(len(rows.states), 2, generator=torch.Generator().manual_seed(4)) < 0.5
    together = made.p_value(wrong, rows.states, rows.actions, mask)
    assert torch.equal(together.isnan(), ~mask.any(1))
    for index in mask.any(1).nonzero().squeeze(1).tolist():
        alone = made.p_value(wrong, *(part[index : index + 1] for part in (rows.states, rows.actions, mask)))
        assert alone == together[index]


def test_it_is_saved_and_one_episode_is_too_few() -> None:
    made, other, rows = fitted(), Conformal(3, 2), demonstrated(5, seed=3)
    assert not other.fitted
    other.load_state_dict(made.state_dict())
    mask = torch.ones(len(rows.states), 2, dtype=torch.bool)
    assert torch.equal(*(law.p_value(wrong, rows.states, rows.actions, mask) for law in (made, other)))
    other.load_state_dict({})  # as in a run of version 0.1
    assert not other.fitted
    assert not fitted(episodes=1).fitted


def test_halves_are_of_whole_episodes() -> None:
    rows = Rows(torch.arange(6.0)[:, None], torch.zeros(6, 1), first=torch.tensor([1, 0, 1, 1, 0, 0]).bool())
    first, second = halves(rows)
    assert first.states.squeeze(1).tolist() == [0, 1, 3, 4, 5]
    assert second.states.squeeze(1).tolist() == [2]


@pytest.mark.parametrize("assistant", ["mac", "bc"])
def test_a_trained_assistant_is_calibrated_by_other_episodes_than_it_is_judged_by(
    tmp_path: Path, d4rl_file: Path, assistant: str
) -> None:
    sizes = ["model.components=3"] if assistant == "mac" else []
    run = trained(tmp_path / "run", d4rl_file, f"assistant={assistant}", "training.validation_fraction=0.5", *sizes)
    made, (first, second) = load_assistant(run), halves(held_out(RunDirectory.open(run)))
    assert made.conformal.fitted
    seen = {tuple(row) for row in first.actions.tolist()}
    assert {tuple(row) for row in made.conformal.actions.tolist()} <= seen
    ranks = calibration(run, ["base"], 10_000, torch.Generator().manual_seed(0))["base"]
    assert len(ranks) == len(second.actions)
    assert ((ranks > 0) & (ranks <= 1)).all()
