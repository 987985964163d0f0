"""MAC's peers: nearest neighbours against brute force, MADE against its density, and budgets that are stated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from autonomy.assistants import knn
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.knn import KNNAssistant
from autonomy.budget import Budget
from autonomy.checkpoint import load_assistant
from autonomy.configs import CONFIGS
from autonomy.density.masks import CardinalityMasks
from autonomy.run_directory import RunDirectory
from autonomy.train import train
from autonomy.types import UserError
from eval.report import write_report
from tests.assistants import SELECTS, mac, made
from tests.conftest import Program
from tests.laws import generator

torch.set_num_threads(1)
STATE, DIM, ROWS = 5, 4, 200


def rows(n: int = ROWS, seed: int = 0) -> tuple[Tensor, Tensor]:
    """States of unequal scales, and actions."""
    drawing = generator(seed)
    states = torch.randn(n, STATE, generator=drawing) * torch.logspace(-1, 2, STATE) + 3
    return states, torch.rand(n, DIM, generator=drawing) * 2 - 1


def questions(n: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """States, the operator's values (NaN where it holds nothing) and masks; the first one is empty."""
    (states, operator), mask = rows(n, seed=1), CardinalityMasks(DIM, 0, DIM - 1).sample(n, generator(2))
    mask[0] = False
    return states, torch.where(mask, operator, torch.nan), mask


def neighbours(k: int, weight: float) -> KNNAssistant:
    assistant = KNNAssistant(STATE, DIM, k, weight)
    assistant.fit_normaliser(*rows())
    return assistant


def brute_force(k: int, weight: float) -> NDArray[np.float64]:
    """The definition, a question at a time, in NumPy and float64."""
    states, actions = (part.double().numpy() for part in rows())
    scale, answers = states.std(0), []
    for state, operator, mask in zip(*(part.numpy() for part in questions()), strict=True):
        distances = (((states - state) / scale) ** 2).sum(1)
        distances += weight * ((actions - operator)[:, mask] ** 2).sum(1)
        answers.append(actions[np.argsort(distances)[:k]].mean(0))
    return np.stack(answers)


@pytest.mark.parametrize("memory", [1, 4 * ROWS * 7, knn.MEMORY])
@pytest.mark.parametrize(("k", "weight"), [(1, 0.0), (1, 30.0), (7, 2.0), (ROWS, 1.0)])
def test_neighbours_are_those_of_brute_force(
    k: int, weight: float, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knn, "MEMORY", memory)  # however many questions are answered at once
    answers = neighbours(k, weight).complete(*questions())
    np.testing.assert_allclose(answers.numpy(), brute_force(k, weight), atol=1e-6)


def test_one_neighbour_recalls_every_row_exactly() -> None:
    """Also of rows that differ by a hundred-thousandth."""
    states, actions = rows()
    states[1::2] = states[::2] + 1e-5 * states.std(0)
    assistant = KNNAssistant(STATE, DIM, k=1)
    assistant.fit_normaliser(states, actions)
    assert torch.equal(assistant.complete(states, actions, torch.zeros_like(actions, dtype=torch.bool)), actions)
    assert assistant.loss(states, actions, generator()).item() == 0


def test_the_operator_chooses_among_what_was_done_in_one_state() -> None:
    actions = rows()[1]
    states = torch.zeros(ROWS, STATE)
    mask = torch.arange(DIM) < 2
    for weight, found in ((1.0, 1.0), (0.0, 1 / ROWS)):
        assistant = KNNAssistant(STATE, DIM, k=1, weight=weight)
        assistant.fit_normaliser(states, actions)
        answers = assistant.complete(states, torch.where(mask, actions, 9.0), mask.expand(ROWS, -1))
        assert (answers == actions).all(1).float().mean().item() == pytest.approx(found)


def test_neighbours_behave_as_an_assistant() -> None:
    states, operator, mask = questions()
    seen = {"state": states.numpy(), "operator_action": 10 * operator.numpy(), "operator_mask": mask.numpy()}
    action, _ = neighbours(3, 1.0).predict(seen)
    assert action.dtype == np.float32
    clipped = operator.mul(10).clamp(-1, 1)
    np.testing.assert_array_equal(action[mask.numpy()], clipped[mask].numpy())
    near = {**seen, "operator_action": clipped.numpy()}
    np.testing.assert_array_equal(neighbours(3, 1.0).predict(near)[0], action)
    assert neighbours(3, 1.0).coverage() is None


def test_bad_neighbours_are_refused() -> None:
    with pytest.raises(UserError, match="k must be a whole number of at least 1, got 0"):
        KNNAssistant(STATE, DIM, k=0)
    with pytest.raises(UserError, match="weight must be a number of at least 0, got -1"):
        KNNAssistant(STATE, DIM, weight=-1)
    with pytest.raises(UserError, match="k=201 neighbours need as many training rows, but there are 200"):
        neighbours(ROWS + 1, 1.0)


def test_a_fresh_assistant_takes_as_many_rows_as_were_saved_and_no_other_width() -> None:
    trained, fresh = neighbours(3, 1.0), KNNAssistant(STATE, DIM, 3, 1.0)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.complete(*questions()), trained.complete(*questions()))
    with pytest.raises(RuntimeError, match="size mismatch for rows"):
        KNNAssistant(STATE + 1, DIM, 3, 1.0).load_state_dict(trained.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        fresh.load_state_dict({})


def density_assistant(name: str, select: str = "mean") -> DensityAssistant:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {"mac": mac, "made": made}[name](select).eval()


@pytest.mark.parametrize("name", ["mac", "made"])
@pytest.mark.parametrize("select", SELECTS)
def test_completions_losses_and_scores_are_the_density_s(name: str, select: str) -> None:
    assistant, (states, operator, mask), drawing = density_assistant(name, select), questions(), generator(0)
    assistant.fit_normaliser(*rows())
    context, density = assistant.normaliser(states), assistant.density
    if select == "best-of-n":
        expected = density.best_of_n(operator, mask, context, 4, drawing)
    else:
        expected = density.complete(operator, mask, context, select, drawing)
    assert torch.equal(assistant.complete(states, operator, mask), expected)
    states, actions = rows()
    context = assistant.normaliser(states)
    assert torch.equal(assistant.loss(states, actions, generator(4)), density.loss(actions, context, generator(4)))
    held = torch.arange(DIM).expand(ROWS, -1) < 2
    expected = density.log_prob(actions, held, held & False, context)
    assert torch.equal(assistant.intent_score(states, actions, held), expected)


def test_made_is_covered_whatever_is_held() -> None:
    coverage = density_assistant("made").coverage()
    assert coverage is not None
    assert coverage.untrained == 0


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def arguments(file: Path, run: Path, *more: str) -> list[str]:
    small = ["evaluation.episodes=0", "model.width=8", "model.depth=2", "model.components=2", "threads=1"]
    small += ["intent=none"]  # what a policy costs by itself
    training = ["training.steps=30", "training.validate_every=10", "training.batch_size=16"]
    return [*small, *training, "data=d4rl", f"data.path={file}", f"run={run}", *more]


def budget(run: Path) -> Budget:
    return Budget(**json.loads((run / "budget.json").read_text()))


@pytest.mark.parametrize("name", ["bc", "any-order", "made"])
def test_budgets(name: str, tmp_path: Path, d4rl_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    train(config(*arguments(d4rl_file, run, f"assistant={name}")))
    stated, assistant = budget(run), load_assistant(run)
    assert isinstance(assistant, torch.nn.Module)
    counted = sum(weight.numel() for weight in assistant.parameters())
    expected = Budget(counted, 30, 16, 480, RunDirectory(run).metrics()[-1]["seconds"], 8, 2)
    assert stated == expected
    line = f"budget: {counted:,} parameters (width 8, depth 2), 30 steps of 16 rows, 480 rows seen, "
    assert line in capsys.readouterr().out.splitlines()[-1]
    if name == "bc":  # 30 -> 8, a block of two layers, its norm and the last one, 8 -> 9
        assert counted == (30 * 8 + 8) + 2 * (8 * 8 + 8) + 2 * 16 + (8 * 9 + 9)
    page = write_report(run).read_text()
    assert f"<tr><th>budget</th><td>{stated}</td></tr>" in page
    assert "<tr><th>training steps</th><td>30</td></tr>" in page


def test_a_resumed_run_states_the_total(tmp_path: Path, d4rl_file: Path) -> None:
    """As if it had been stopped at step 10: its configuration asks for three times as many."""
    run = tmp_path / "run"
    train(config(*arguments(d4rl_file, run, "assistant=bc", "training.steps=10")))
    first = budget(run)
    assert (first.steps, first.rows_seen) == (10, 160)
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("steps: 10\n", "steps: 30\n"))
    for _ in range(2):  # the second time nothing is left to do
        train(config(f"resume={run}"))
        total = budget(run)
        assert (total.steps, total.rows_seen, total.parameters) == (30, 480, first.parameters)
        assert total.seconds > first.seconds
    assert total.seconds == RunDirectory(run).metrics()[-1]["seconds"]
    (run / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"metrics\.jsonl is corrupted .* how long training took"):
        train(config(f"resume={run}"))


def test_neighbours_need_no_training_loop(program: Program, tmp_path: Path, d4rl_file: Path) -> None:
    run = tmp_path / "run"
    done = program("autonomy.train", *arguments(d4rl_file, run, "assistant=knn"))
    assert done.returncode == 0, done.stderr
    kept = 350 * (30 + 9) + 2 * 30  # seven of the eight episodes, and the normaliser
    said = done.stdout.splitlines()
    assert said[1].startswith(f"budget: {kept:,} numbers kept, no optimiser steps, 350 rows seen, ")
    assert said[-1] == f"run: {run}"
    stated = budget(run)
    assert (stated.parameters, stated.steps, stated.batch_size, stated.rows_seen) == (kept, 0, None, 350)
    assert (stated.width, stated.depth) == (None, None)
    page = write_report(run).read_text()
    assert "no optimiser steps" in page
    assert "<th>training steps</th>" not in page
    assert "<th>network width</th>" not in page


def test_resumed_neighbours_are_the_same(tmp_path: Path, d4rl_file: Path) -> None:
    run = tmp_path / "run"
    train(config(*arguments(d4rl_file, run, "assistant=knn")))
    model, metrics = (run / "model.safetensors").read_bytes(), RunDirectory(run).metrics()
    assert [record["step"] for record in metrics] == [0]
    assert 0 < metrics[0]["validation_loss"] < 1
    (run / "model.safetensors").unlink()  # as if it had been killed before that
    train(config(f"resume={run}"))
    assert (run / "model.safetensors").read_bytes() == model
    assert [record["step"] for record in RunDirectory(run).metrics()] == [0]
    assistant = load_assistant(run)
    observation = {"state": np.zeros((2, 30)), "operator_action": np.zeros((2, 9)), "operator_mask": np.zeros((2, 9))}
    assert np.abs(assistant.predict(observation)[0]).max() <= 1
