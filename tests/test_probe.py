"""The intent score in rollouts: when it is measured, and that measuring changes nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autonomy.assistants.density import DensityAssistant
from autonomy.density.masks import CardinalityMasks
from eval.episodes import read_episodes
from eval.play import play
from eval.probe import DRAWS, EVERY, IMPROBABLE, Probe
from eval.setting import Setting
from eval.settings import compose_rollout, setting_of
from tests.assistants import mac
from tests.laws import generator

torch.set_num_threads(1)


def assistant(select: str = "sample") -> DensityAssistant:
    """Random weights, for the kitchen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = mac(select, (30, 9))
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator(2)))
    return made.eval()


class Silent:
    """The same assistant, but nobody can ask it about intents."""

    def __init__(self) -> None:
        self._inner = assistant()

    def predict(self, *arguments: Any, **options: Any) -> Any:
        return self._inner.predict(*arguments, **options)


def test_the_assistant_ranks_what_is_held_and_leaves_its_own_draws_alone() -> None:
    made, states = assistant(), torch.randn(5, 30, generator=generator(1))
    operator = torch.randn(5, 9, generator=generator(2)).clamp(-1, 1)
    operator[:3] = operator[:3].sign()  # saturated
    mask = CardinalityMasks(9, 1, 5).sample(5, generator(3))
    mask[2] = False
    before = made._generator.get_state()
    ranks = made.intent_rank(states, torch.where(mask, operator, torch.nan), mask, 19, generator(4))
    assert torch.equal(ranks.isnan(), torch.arange(5) == 2)
    assert torch.equal(ranks.nan_to_num(), made.intent_rank(states, operator, mask, 19, generator(4)).nan_to_num())
    assert torch.equal(before, made._generator.get_state())
    assert made.intent_rank(states, operator, mask & False, 19, generator(4)).isnan().all()


def test_the_probe_looks_at_every_tenth_step_and_at_held_rows_only() -> None:
    rng = np.random.default_rng(0)
    seen = {
        "state": rng.normal(size=(4, 30)).astype(np.float32),
        "operator_action": np.ones((4, 9), np.float32),
        "operator_mask": np.tile(np.arange(9) < 4, (4, 1)).astype(np.int8),
    }
    seen["operator_mask"][1] = 0
    probe, made = Probe(assistant(), [0, 1]), assistant()
    found = [probe.measure(seen, [0, 1, 3]) for _ in range(2 * EVERY + 1)]
    assert [list(intents) for intents in found] == ([[0, 3]] + (EVERY - 1) * [[]]) * 2 + [[0, 3]]
    score = made.intent_score(*(torch.from_numpy(seen[key][3:]) for key in ("state", "operator_action")),
                              torch.from_numpy(seen["operator_mask"][3:]) > 0)  # fmt: skip
    assert found[0][3].score == pytest.approx(score.item() / 4)
    assert found[0] == Probe(assistant(), [0, 1]).measure(seen, [0, 3])
    assert Probe(Silent(), [0]).measure(seen, [0, 3]) == {}
    assert (IMPROBABLE * (DRAWS + 1)).is_integer()


def settings(who: str, *overrides: str) -> Setting:
    env = compose_rollout(["run=zero", "env=kitchen-mixed"]).env
    env.max_episode_steps = 12
    zero = setting_of("zero", list(overrides) or ["operator=noisy", "channels=random-3"], env)
    return dataclasses.replace(zero, name="mac", assistant=globals()[who])


def test_probing_changes_no_other_metric() -> None:
    """With an assistant whose actions are draws of a generator of its own."""
    probed, silent = (play(settings(who), [3, 4, 5], 3) for who in ("assistant", "Silent"))
    assert probed == play(settings("assistant"), [3, 4, 5], 3)
    assert all(record.intent_score is not None and record.improbable is not None for record in probed)
    assert all(record.intent_score is None and record.improbable is None for record in silent)
    assert [dataclasses.replace(record, intent_score=None, improbable=None) for record in probed] == silent
    assert not any(record.success for record in probed)


def test_nothing_is_measured_where_nothing_is_held_or_every_command_is_refused() -> None:
    (autonomous,) = play(settings("assistant", "operator=zero", "channels=none"), [3], 1)
    assert (autonomous.intent_score, autonomous.improbable) == (None, None)
    broken = settings("assistant", "operator=zero", f"operator._target_={__name__}.Broken", "channels=base")
    (refused,) = play(broken, [3], 1)
    assert refused.operator_error is not None
    assert (refused.intent_score, refused.improbable) == (None, None)


def test_records_of_older_versions_are_read_and_new_ones_come_back(tmp_path: Path) -> None:
    (record,) = play(settings("assistant"), [3], 1)
    new, old = dataclasses.asdict(record), dataclasses.asdict(record)
    for key in ("success", "intent_score", "improbable"):
        del old[key]
    path = tmp_path / "episodes.jsonl"
    path.write_text(f"{json.dumps(new)}\n{json.dumps(old)}\n")
    assert read_episodes(path) == [
        record,
        dataclasses.replace(record, success=None, intent_score=None, improbable=None),
    ]


class Broken:
    """An operator whose commands are no numbers."""

    name = "broken"

    def __init__(self, dim: int) -> None:
        self._dim = dim

    def reset(self, index: int, rng: np.random.Generator, mask: Any) -> None:
        pass

    def act(self, states: Any, simulators: Any) -> Any:
        return np.full((len(states), self._dim), np.nan, np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return ()
