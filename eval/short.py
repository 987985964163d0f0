"""The short evaluation that follows training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autonomy.checks import whole
from autonomy.run_directory import RunDirectory
from eval.coverage import warn_untrained
from eval.episodes import table
from eval.rollout import evaluate_all, save
from eval.setting import Setting
from eval.settings import ZERO, short_settings
from eval.trace import write_trace
from eval.video import record_video

_BATCH = 10
"""Episodes side by side: half as many as elsewhere, so that the last ones to end don't leave a core idle for long."""


def short_evaluation(run: Path, evaluation: Mapping[str, Any] | None = None) -> str:
    """Evaluate the assistant of `run` over paired episodes; prints and returns the table.

    The settings are those of `eval.settings.short_settings`. `evaluation`: `episodes`, `seed` of the first one,
    `processes` (null: all cores) and `video`; the run's own configuration by default. Writes `episodes.jsonl` and
    `summary.json`, `belief.json` for an assistant with a belief, and a video where rendering works. Raises `UserError`
    for a run directory that cannot be evaluated.
    """
    options = evaluation or RunDirectory.open(run).config().evaluation
    first, episodes = whole("evaluation.seed", options["seed"], 0), whole("evaluation.episodes", options["episodes"], 1)
    settings = short_settings(run)
    seeds = range(first, first + episodes)
    records = dict(evaluate_all(settings, seeds, processes=options["processes"], batch=_BATCH, label="evaluation"))
    summaries = save(run, [records[index] for index in range(len(settings))], settings[0].env)
    filmed, believed = _worth_a_look(settings)
    has_belief = write_trace(believed, first, run) is not None
    if options["video"]:
        record_video(believed if has_belief else filmed, first, run)
    for setting, group in zip(settings, (records[index] for index in range(len(settings))), strict=True):
        warn_untrained(setting.assistant(), group)
    text = table(summaries)
    print(text)
    return text


def _worth_a_look(settings: Sequence[Setting]) -> tuple[Setting, Setting]:
    """Which settings are filmed, without a belief and with one: the first and the second in which control is shared."""
    shared = [setting for setting in settings if setting.name != ZERO and setting.labels()[2] != "none"]
    return (shared or [settings[-1]])[0], (shared[1:2] or shared or [settings[-1]])[0]
