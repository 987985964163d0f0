"""Weights of eight bits: exact where nothing is rounded, close elsewhere, and what `eval.precision` says of them."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autonomy.checkpoint import load_assistant
from autonomy.density.int8 import Int8Linear, quantise
from autonomy.types import UserError
from tests.assistants import ROWS, build, observation
from tests.conftest import Program
from tests.laws import generator

torch.set_num_threads(1)


def test_whole_numbers_are_multiplied_exactly() -> None:
    """Rows whose largest value is 127 levels lose nothing."""
    drawing = generator()
    layer = nn.Linear(64, 32)
    weight = torch.randint(-126, 127, (32, 64), generator=drawing).float()
    x = torch.randint(-126, 127, (5, 64), generator=drawing).float()
    weight[:, 0], x[:, 1] = 127, -127
    layer.weight.data.copy_(weight / 8)
    with torch.no_grad():
        assert torch.equal(Int8Linear(layer)(x / 4), (x / 4) @ (weight / 8).T + layer.bias)


@pytest.mark.parametrize("rows", [1, 6, 33])
def test_rounding_costs_what_it_must(rows: int) -> None:
    """Each product's error has a variance of (w^2 + x^2 level^2) / 12 levels at most; five deviations bound it."""
    drawing = generator()
    layer = nn.Linear(256, 40).requires_grad_(False)
    x = torch.randn(rows, 256, generator=drawing)
    exact, found = layer(x), Int8Linear(layer)(x)
    x_level, w_level = x.abs().amax(1, keepdim=True) / 127, layer.weight.abs().amax(1) / 127
    variance = (x_level.square() * layer.weight.square().sum(1) + w_level.square() * x.square().sum(1, True)) / 12
    assert ((found - exact).abs() < 5 * variance.sqrt()).all()
    assert not torch.equal(found, exact)


def test_an_empty_row_gives_the_bias() -> None:
    layer = nn.Linear(16, 8).requires_grad_(False)
    assert torch.equal(Int8Linear(layer)(torch.zeros(2, 16)), layer.bias.expand(2, -1))


@pytest.mark.parametrize("name", ["mac-mean", "mac-sample", "bc", "conditional-bc"])
def test_assistants_act_nearly_alike(name: str) -> None:
    plain = build(name)
    quick = copy.deepcopy(plain)
    quantise(quick)
    assert sum(isinstance(layer, Int8Linear) for layer in quick.modules()) == 2
    seen = observation()
    (first, _), (second, _) = plain.predict(seen), quick.predict(seen)
    mask = seen["operator_mask"]
    assert np.array_equal(second[mask], first[mask])
    assert 0 < np.abs(second - first).max() < 0.02
    assert second.shape == (ROWS, 4)


def test_a_run_is_loaded_with_either(smoke: tuple[Path, Path]) -> None:
    plain, quick = (load_assistant(smoke[0], precision=precision) for precision in ("float32", "int8"))
    layers = [[isinstance(layer, Int8Linear) for layer in assistant.modules()] for assistant in (plain, quick)]  # type: ignore[attr-defined]
    assert not any(layers[0])
    assert any(layers[1])
    with pytest.raises(UserError, match="unknown precision 'int4'; the valid ones are float32, int8"):
        load_assistant(smoke[0], precision="int4")


def test_the_program_says_what_changes(
    smoke: tuple[Path, Path], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(smoke[1]))
    done = program("eval.precision", f"run={smoke[0]}", "held=[base]", "rows=50", "episodes=1", "processes=1")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    change = re.fullmatch(
        r"log p\(a \| s\) of 50 held-out rows, nats: float32 (\S+), int8 (\S+), change (\S+) .*", first
    )
    assert change
    plain, quick, difference = map(float, change.groups())
    assert quick - plain == pytest.approx(difference, abs=2e-4)
    assert re.fullmatch(r"base: completed dimensions differ by 0\.0\d+ rms, 0\.\d+ at most", second)
    assert third.startswith("reward of 1 paired episodes, operator=expert channels=shoulder: float32 ")


def test_rollouts_take_a_precision(smoke: tuple[Path, Path], program: Program, tmp_path: Path) -> None:
    done = program("eval.rollout", f"run={smoke[0]}", "precision=int4", f"out={tmp_path}")
    assert done.returncode == 2
    assert "unknown precision 'int4'" in done.stderr
