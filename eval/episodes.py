"""What is kept of an evaluated episode, the files it goes to and the summary of many."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from eval.probe import IMPROBABLE, Intent
from eval.recognition import Course
from eval.scores import score_in, score_of, title
from eval.stats import Interval, mean_interval

EPISODES, SUMMARY = "episodes.jsonl", "summary.json"
PERSON = "person"
"""The operator's name in records of trials with people."""
BELIEF = ("belief_right", "steps_to_recognise")
AVERAGED = ("first_intended", "deviation", "success", "intent_score", "improbable", "belief_log_score", *BELIEF)
"""What a summary has the mean of, over the episodes that have a value."""


@dataclasses.dataclass(frozen=True)
class EpisodeRecord:
    """One evaluated episode; a line of `episodes.jsonl`.

    `mask`: the operator's dimensions, 0/1 (D,). `first_intended`: was the first task done the one that the operator
    meant to do first; None when it had no plan, or no dimension to show it with. `deviation`: mean |executed -
    operator's own action| over the filled dimensions and the steps, in units of the action; None when nothing is
    filled or nothing is held. `operator_error`: why a command of it was refused, or None. `ms`, `ms_p50`, `ms_p99`:
    wall milliseconds of the assistant's calls (one call decides for the whole batch of episodes), mean and percentiles
    within the episode; equality ignores them, since they are the only part that is not determined by the seeds.
    `success`: were all tasks of the environment done, or what else it calls a success; None where it says nothing.
    `intent_score`: mean log p(operator's command | state), nats a
    held dimension; `improbable`: share of the commands whose rank (`intent_rank`) is at most `IMPROBABLE`
    (see `eval.probe`, also for the steps looked at); None when the assistant has no such density or nothing is held.
    `workload`: what a person answered, the unweighted mean of NASA-TLX's scales, 0 to 100; None for proxies.
    `world_error`: why the simulator ended the episode, where its state was not finite; the reward is that until then.

    Of an assistant with a belief, beside an operator with a plan: `belief_right` is the share of the steps in which the
    assistant acts for the task that the operator pursues, `belief_log_score` the mean log probability of that task in
    nats (see `eval.recognition.Course`), `pursued` has (task, its steps, steps until the belief gives it more than
    half) for every stretch of pursuing one task, and `steps_to_recognise` is the median of the last over the stretches.
    Otherwise they are None. What older versions did not record is None too.
    """

    assistant: str
    operator: str
    channels: str
    mask: tuple[int, ...]
    seed: int
    reward: float
    length: int
    completed: tuple[str, ...]
    intended: tuple[str, ...]
    first_intended: bool | None
    deviation: float | None
    operator_error: str | None
    ms: float = dataclasses.field(compare=False)
    ms_p50: float = dataclasses.field(compare=False)
    ms_p99: float = dataclasses.field(compare=False)
    success: bool | None = None
    intent_score: float | None = None
    improbable: float | None = None
    workload: float | None = None
    belief_right: float | None = None
    belief_log_score: float | None = None
    steps_to_recognise: float | None = None
    pursued: tuple[tuple[str, int, int], ...] | None = None
    world_error: str | None = None


class Tally:
    """Collects one environment's steps until its episode ends."""

    def __init__(self) -> None:
        self._reward, self._error = 0.0, None
        self._deviations: list[float] = []
        self._ms: list[float] = []
        self._intents: list[Intent] = []
        self._believed: list[dict[str, Any]] = []

    def add(self, reward: float, info: dict[str, Any], ms: float, intent: Intent | None = None) -> None:
        """Count one step: `info` as `SharedControl` reports it, `ms` the time of the assistant's call."""
        self._reward += reward
        self._ms.append(ms)
        self._intents += [] if intent is None else [intent]
        self._believed.append({key: info[key] for key in ("belief", "completed") if key in info})
        self._error = self._error or info.get("operator_error")
        filled = ~np.asarray(info["operator_mask"], dtype=bool)
        if filled.any() and not filled.all() and not info.get("operator_error"):
            off: NDArray[Any] = np.abs(np.asarray(info["executed_action"]) - np.asarray(info["operator_action"]))
            self._deviations.append(float(off[filled].mean()))

    def record(self, info: dict[str, Any], names: tuple[str, str, str], seed: int) -> EpisodeRecord:
        """The finished episode; `info` of its last step, `names` of assistant, operator and channels."""
        completed, intended = tuple(info["completed"]), tuple(info["intent"])
        shown = intended and np.any(info["operator_mask"])
        return EpisodeRecord(
            *names,
            mask=tuple(int(held) for held in info["operator_mask"]),
            seed=seed,
            reward=self._reward,
            length=len(self._ms),
            completed=completed,
            intended=intended,
            first_intended=completed[:1] == intended[:1] if shown else None,
            deviation=_mean(self._deviations),
            operator_error=self._error,
            ms=float(np.mean(self._ms)),
            ms_p50=float(np.percentile(self._ms, 50)),
            ms_p99=float(np.percentile(self._ms, 99)),
            success=None if info.get("success") is None else bool(info["success"]),
            intent_score=_mean([intent.score for intent in self._intents]),
            improbable=_mean([intent.rank <= IMPROBABLE for intent in self._intents]),
            world_error=info.get("world_error"),
            **_recognition(Course.of(self._believed)),
        )


def _recognition(course: Course | None) -> dict[str, Any]:
    """What a record keeps of a belief; nothing when there is none or nobody knows what is true."""
    if course is None or not course.known.any():
        return {}
    found = [(course.labels[one.intent], one.stop - one.start, one.recognised) for one in course.stretches]
    return {
        "belief_right": course.right,
        "belief_log_score": course.log_score,
        "steps_to_recognise": course.steps_to_recognise,
        "pursued": tuple(found),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def write_episodes(path: Path, records: Iterable[EpisodeRecord]) -> None:
    """One JSON object a line, all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, "".join(json.dumps(dataclasses.asdict(record)) + "\n" for record in records).encode())


def write_summary(path: Path, summary: Any) -> None:
    """JSON, written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(summary, indent=2) + "\n").encode())


def read_episodes(path: Path) -> list[EpisodeRecord]:
    """The records of `write_episodes`. Raises `UserError` for a missing or damaged file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [EpisodeRecord(**{k: _tuple(v) for k, v in json.loads(line).items()}) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a file of evaluated episodes ({error})") from error


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def summarise(records: Sequence[EpisodeRecord], env: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of one setting's episodes in `env`, a configuration of that group, ready for JSON.

    Intervals are 95% bootstrap ones over the episodes.
    """
    tasks = env["tasks"]
    seeds = [record.seed for record in records]
    reward = mean_interval([record.reward for record in records])
    return {
        **{key: getattr(records[0], key) for key in ("assistant", "operator", "channels")},
        "episodes": len(records),
        "seeds": [min(seeds), max(seeds)],
        "reward": dataclasses.asdict(reward),
        "length": float(np.mean([record.length for record in records])),
        "tasks": {task: float(np.mean([task in record.completed for record in records])) for task in tasks},
        **{key: _interval([getattr(record, key) for record in records]) for key in AVERAGED},
        "ms": {key: float(np.mean([getattr(r, key) for r in records])) for key in ("ms", "ms_p50", "ms_p99")},
        "operator_errors": sum(record.operator_error is not None for record in records),
        "world_errors": sum(record.world_error is not None for record in records),
        "score": dataclasses.asdict(score_of(env)),
        "period": env.get("period"),
    }


def _interval(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Over the episodes that have a value; None when none has."""
    found = [float(value) for value in values if value is not None]
    return dataclasses.asdict(mean_interval(found)) if found else None


def table(summaries: Sequence[dict[str, Any]]) -> str:
    """The printed comparison of several summaries, with what its numbers mean."""
    believed, columns = has_belief(summaries), _columns(summaries)
    header = ("assistant", "operator", "channels", "n", "reward [95%]", *columns.values(), "ms p50 (p99)")
    rows = [header, *(_row(summary, tuple(columns)) for summary in summaries)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *_notes(summaries, believed)])


def has_belief(summaries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any of the summaries is of an assistant with a belief; those of older versions say nothing of it."""
    return any(summary.get(key) for summary in summaries for key in BELIEF)


def _columns(summaries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the table has a mean of, and its titles; where no tasks are done, whether an episode was a success."""
    done = {"first_intended": "first intended"} if any(summary["tasks"] for summary in summaries) else {}
    success = {} if done or not any(summary.get("success") for summary in summaries) else {"success": "success"}
    belief = dict(zip(BELIEF, ("right task", "recognised"), strict=True)) if has_belief(summaries) else {}
    return {**success, **done, "deviation": "deviation", "improbable": "improbable", **belief}


def _row(summary: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    ms = summary["ms"]
    numbers = [_number(summary.get(key)) for key in keys]
    names = (summary["assistant"], summary["operator"], summary["channels"], str(summary["episodes"]))
    return (*names, str(Interval(**summary["reward"])), *numbers, f"{ms['ms_p50']:.1f} ({ms['ms_p99']:.1f})")


def _number(interval: dict[str, Any] | None) -> str:
    return "-" if interval is None else f"{interval['mean']:.2f}"


def _notes(summaries: Sequence[dict[str, Any]], believed: bool) -> list[str]:
    low, high = summaries[0]["seeds"]
    what = title(score_in(summaries[0]))
    notes = [
        f"reward: {what} an episode, mean and 95% bootstrap interval over the n episodes {low} to {high}, the same",
        "in each row; one trained model, so it says nothing about training again. ms: one call of the assistant, for a",
        "batch of episodes. deviation: mean |executed - operator's own action| on the filled dimensions. improbable:",
        f"share of the operator's commands whose rank by p(command | state) is at most {IMPROBABLE}.",
        *(_BELIEF_NOTES if believed else ()),
        *(
            f"{_label(s)}: {', '.join(f'{task} {share:.0%}' for task, share in s['tasks'].items())}"
            for s in summaries
            if s["tasks"]
        ),
        *(
            f"{_label(s)}: commands of the operator were refused in {s['operator_errors']} episodes"
            for s in summaries
            if s["operator_errors"]
        ),
        *(
            f"{_label(s)}: the simulator's state was not finite in {s['world_errors']} episodes, which ended there"
            for s in summaries
            if s["world_errors"]
        ),
    ]
    return ["", *notes]


_BELIEF_NOTES = (
    "right task: share of the steps in which the assistant acts for the task that the operator pursues. recognised:",
    "steps until its belief gives that task more than half, the median over the episode's tasks.",
)


def _label(summary: dict[str, Any]) -> str:
    return f"{summary['assistant']} / {summary['operator']} on {summary['channels']}"
