"""The series behind the report's curves: panels of strengths, and whether p-values are uniform."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.benchmark.series import calibration_text, reliability, strengths
from eval.benchmark.summary import cells_of, judged_rows, summarised, tidy
from eval.scores import of_tasks
from tests.benchmark_tables import TASKS, episodes


def test_curves_have_a_panel_a_curve_and_channels() -> None:
    parts = [
        episodes(f"{curve}-{s:g}-{where}", "mac", 2.0, 1, curve=curve, strength=s, channels=where)
        for curve, where in (("noisy", "shoulder"), ("noisy", "wrist"), ("laggy", "shoulder"))
        for s in (0.0, 0.5)
    ]
    tidied = tidy(pd.concat(parts), TASKS)
    points = strengths(tidied, summarised(cells_of(tidied), TASKS, of_tasks(TASKS)))
    assert set(points["panel"]) == {"noisy on shoulder", "noisy on wrist", "laggy"}
    assert points.groupby("panel")["strength"].apply(list).tolist() == [[0.0, 0.5]] * 3
    assert judged_rows(tidied) == list(dict.fromkeys(tidied["row"]))


def test_settings_that_share_a_name_are_told_apart() -> None:
    parts = [episodes("noisy-shoulder", "mac", 2.0, 1, curve="noisy", strength=s) for s in (0.0, 0.5)]
    tidied = tidy(pd.concat(parts), TASKS)
    assert list(dict.fromkeys(tidied["row"])) == ["noisy-shoulder, noisy 0", "noisy-shoulder, noisy 0.5"]


def test_calibration_is_judged_by_its_band() -> None:
    uniform, squared = np.linspace(0, 1, 401), np.linspace(0, 1, 401) ** 2
    levels = reliability({"shoulder": uniform, "wrist": squared})
    shares = levels[levels["channels"] == "wrist"].set_index("level")["share"]
    assert shares[0.25] == pytest.approx(0.5, abs=0.003)
    reach = np.sqrt(np.log(40) / 802)
    assert levels.set_index("level").loc[0.5, "high"].tolist() == pytest.approx([0.5 + reach] * 2)
    first, second = calibration_text(levels)
    assert first.startswith("shoulder: indistinguishable from uniform; 5.2% of p-values")
    assert second.startswith("wrist: not uniform; 22.4% of p-values")
    assert "at most 0.251 off the diagonal, at level 0.25" in second
