"""Run directories of version 0.1 load, and act as they did."""

import json
from pathlib import Path

import numpy as np
import pytest

from autonomy.checkpoint import load_assistant

RUN = Path(__file__).parent / "round1"


def test_a_run_of_the_first_version_gives_the_actions_that_it_gave_then() -> None:
    drawing = np.random.default_rng(0)
    observation = {
        "state": drawing.normal(size=(6, 30)).astype(np.float32),
        "operator_action": drawing.uniform(-1, 1, (6, 9)).astype(np.float32),
        "operator_mask": (drawing.random((6, 9)) < 0.4).astype(np.int8),
    }
    actions, _ = load_assistant(RUN).predict(observation)
    assert actions == pytest.approx(np.array(json.loads((RUN / "actions.json").read_text())), abs=1e-5)
