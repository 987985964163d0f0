"""The recurrent assistant: it remembers what the operator did, and its memory is the caller's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.conditional_bc import ConditionalBC
from autonomy.assistants.recurrent_bc import RecurrentBC
from autonomy.batches import Rows
from autonomy.density.masks import CardinalityMasks, FixedMasks
from autonomy.fit import TrainingSettings, fit
from autonomy.run_directory import RunDirectory
from autonomy.types import Array, UserError
from tests.assistants import DIM, STATE, Observation, observation, randomise
from tests.laws import generator

torch.set_num_threads(1)

STEPS, EPISODES = 6, 64
HELD = FixedMasks([[0]], 2)


def episodes() -> Rows:
    """The operator shows the goal, -1 or 1, in its first command alone; the other dimension needs it at every step."""
    drawing = generator(3)
    goal = torch.randint(2, (EPISODES, 1), generator=drawing).float() * 2 - 1
    first = (torch.arange(STEPS) == 0).expand(EPISODES, -1)
    actions = torch.stack([goal * first, 0.8 * goal.expand(-1, STEPS)], 2)
    states = torch.randn(EPISODES, STEPS, 3, generator=drawing)
    return Rows(states.flatten(0, 1), actions.flatten(0, 1), first=first.flatten())


def train(assistant: TorchAssistant, folder: Path, steps: int = 150) -> RunDirectory:
    run = RunDirectory(folder)
    if not run.config_file.exists():
        run = RunDirectory.create(folder, OmegaConf.create({"env": {}, "assistant": {}}))
    rows = episodes()
    assistant.fit_normaliser(rows.states, rows.actions)
    settings = TrainingSettings(steps=steps, batch_size=32 * STEPS, learning_rate=5e-3, validate_every=50)
    fit(assistant, rows, rows, settings, run)
    return run


def recurrent() -> RecurrentBC:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RecurrentBC(3, 2, HELD, window=STEPS, width=16, depth=2)


def played(assistant: TorchAssistant, rows: Rows) -> Array:
    """What the assistant adds to the operator's commands, episode beside episode, (E, T)."""
    states, actions = (part.unflatten(0, (EPISODES, STEPS)).numpy() for part in (rows.states, rows.actions))
    memory, answers, mask = None, [], np.tile([True, False], (EPISODES, 1))
    for t in range(STEPS):
        seen = {"state": states[:, t], "operator_action": actions[:, t], "operator_mask": mask}
        action, memory = assistant.predict(seen, memory, np.full(EPISODES, t == 0))
        answers.append(action[:, 1])
    return np.stack(answers, 1)


def test_it_remembers_what_a_memoryless_regression_cannot_know(tmp_path: Path) -> None:
    rows, remembering = episodes(), recurrent()
    memoryless = ConditionalBC(3, 2, HELD, width=16, depth=2)
    wanted = rows.actions[:, 1].view(EPISODES, STEPS).numpy()
    train(remembering, tmp_path / "recurrent")
    train(memoryless, tmp_path / "memoryless")
    assert np.abs(played(remembering, rows) - wanted).max() < 0.2
    alone = np.abs(played(memoryless, rows) - wanted)
    assert alone[:, 0].mean() < 0.2
    assert alone[:, 1:].mean() > 0.4


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(recurrent(), tmp_path / "whole", 100)
    train(recurrent(), tmp_path / "broken", 50)
    broken = train(randomise(recurrent()).train(), tmp_path / "broken", 100)
    assert broken.model_file.read_bytes() == whole.model_file.read_bytes()


def build() -> RecurrentBC:
    return randomise(RecurrentBC(STATE, DIM, CardinalityMasks(DIM), window=4, width=16, depth=2))


def test_the_loss_is_of_missing_dimensions_with_one_mask_a_window() -> None:
    assistant, drawing = build(), generator(1)
    states, actions = torch.randn(8, 4, STATE, generator=drawing), torch.rand(8, 4, DIM, generator=drawing) * 2 - 1
    mask = CardinalityMasks(DIM).sample(8, generator(5))
    errors = _unrolled(assistant, states, actions, mask.numpy()) - actions.numpy()
    missing = ~mask[:, None].expand_as(actions).numpy()
    loss = assistant.loss(states, actions, generator(5)).item()
    assert loss == pytest.approx((errors[missing] ** 2).mean(), rel=1e-4)


def _unrolled(assistant: RecurrentBC, states: Tensor, actions: Tensor, mask: NDArray[np.bool_]) -> Array:
    memory, answers = None, []
    for state, action in zip(states.unbind(1), actions.unbind(1), strict=True):
        seen = {"state": state.numpy(), "operator_action": action.numpy(), "operator_mask": mask}
        answer, memory = assistant.predict(seen, memory)
        answers.append(answer)
    return np.stack(answers, 1)


def steps(n: int = 12) -> tuple[Observation, Observation]:
    return observation(n, seed=1), observation(n, seed=2)


def test_episodes_side_by_side_know_nothing_of_each_other() -> None:
    assistant, (first, second) = build(), steps()
    _, memory = assistant.predict(first)
    actions, after = assistant.predict(second, memory)
    for i in range(len(actions)):
        own, kept = assistant.predict({key: value[i : i + 1] for key, value in second.items()}, memory[i : i + 1])
        np.testing.assert_allclose(own[0], actions[i], atol=1e-6)
        np.testing.assert_allclose(kept[0], after[i], atol=1e-6)


def test_the_memory_is_the_caller_s_and_ends_with_the_episode() -> None:
    assistant, (first, second) = build(), steps()
    _, memory = assistant.predict(first)
    before, starts = memory.copy(), np.arange(12) % 2 == 0
    resumed, _ = assistant.predict(second, memory, starts)
    np.testing.assert_array_equal(memory, before)
    fresh, going_on = assistant.predict(second)[0], assistant.predict(second, memory)[0]
    np.testing.assert_allclose(resumed, np.where(starts[:, None], fresh, going_on), atol=1e-6)
    free = ~second["operator_mask"]
    assert (fresh[free] != going_on[free]).all()


@pytest.mark.parametrize("shape", [(12, 15), (11, 16), (16,)])
def test_a_memory_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"must be None or the memory that it returned, of shape \(12, 16\), got"):
        build().predict(observation(), np.zeros(shape, np.float32))


def test_a_window_is_of_two_rows_or_more() -> None:
    with pytest.raises(UserError, match="window must be a whole number of at least 2, got 1"):
        RecurrentBC(STATE, DIM, CardinalityMasks(DIM), window=1)
