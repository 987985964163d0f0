"""`experiment=smoke`: demonstrations, training, evaluation and report, all of it small."""

from __future__ import annotations

import json
from pathlib import Path


def test_the_whole_path(smoke: tuple[Path, Path]) -> None:
    run, _ = smoke
    assert run.parent.name == "runs"
    assert len((run / "report.html").read_text()) > 50_000
    episodes = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    settings = {(record["assistant"], record["operator"], record["channels"]) for record in episodes}
    assert {("mac", "expert", "shoulder"), ("mac", "expert", "random-3"), ("zero", "expert", "shoulder")} < settings
    assert len(episodes) == 2 * len(settings) == 10
    assert json.loads((run / "card.json").read_text())["episodes"] == 8
