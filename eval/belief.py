"""Does the assistant find what demonstrators were after? Its belief on held-out demonstrations, step by step.

    python -m eval.belief run=DIR [held=[wrist,random-3]] [meant=all] [data=scripted data.seed=9 data.n_episodes=15]

Prints a table and writes `belief.csv` (a line a step), `belief.png` (over time) and `reliability.png` to DIR/belief.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from autonomy.checkpoint import load_assistant
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import UserError
from eval.figures import recognition_over_time, reliability_of_belief
from eval.following import courses
from eval.intent import judging_episodes
from eval.play import one_thread
from eval.recognition import FLOOR, Course, Stretch
from eval.setting import channels_of
from eval.settings import usable_folder

BINS = 15
"""Of the probability of the likeliest intent, alike in width."""
KNOWN = {
    "episode": "The assistant knows which tasks an episode's demonstrator does, as in play, but not their order.",
    "all": "The assistant takes every intent of its demonstrations to be possible in every episode.",
}
"""What is said of each of `eval.following.MEANT`."""
SINCE = (0, 5, 10, 20, 40, 80)
"""Steps since a stretch of one intent began, at which the table tells who is right."""


def frame(found: Mapping[str, Iterable[Course]]) -> pd.DataFrame:
    """A row a step: channels, episode, step, steps since its stretch began, truth and belief, in names and numbers."""
    return pd.concat(
        [
            _steps(course).assign(channels=name, episode=episode)
            for name, group in found.items()
            for episode, course in enumerate(group)
        ],
        ignore_index=True,
    )


def _steps(course: Course) -> pd.DataFrame:
    labels, steps = np.array(course.labels), np.arange(len(course.beliefs))
    starts = np.concatenate([np.full(one.stop - one.start, one.start) for one in course.stretches])
    likeliest = course.beliefs.argmax(1)
    return pd.DataFrame(
        {
            "step": steps,
            "since": steps - starts,
            "truth": labels[course.truths],
            "likeliest": labels[likeliest],
            "probability": course.beliefs[steps, likeliest],
            "of_truth": course.of_truth,
            "acts_for": labels[course.committed],
        }
    )


@dataclasses.dataclass(frozen=True)
class Summary:
    """How good the belief is with some channels held, over `steps` steps of `episodes` episodes.

    right: share of the steps in which the assistant acts for the truth. log_score: mean log probability of the truth,
    in nats. recognised: median steps of a task until the belief gives it more than half. followed: median steps until
    the assistant acts for another task after the demonstrator has gone on to it. error: the expected calibration error
    of the probability of the likeliest intent. Medians are None where there is no such task.
    """

    episodes: int
    steps: int
    right: float
    log_score: float
    recognised: float | None
    followed: float | None
    error: float


def summarised(group: Sequence[Course], steps: pd.DataFrame) -> Summary:
    """The summary of courses and of their `frame`."""
    tasks = [(before, one) for course in group for before, one in _pairs(course) if one.intent < len(course.names)]
    changes = [one for before, one in tasks if before is not None]
    return Summary(
        len(group),
        len(steps),
        float((steps["acts_for"] == steps["truth"]).mean()),
        float(np.log(steps["of_truth"].clip(lower=FLOOR)).mean()),
        _median([one.recognised for _, one in tasks]),
        _median([one.followed for one in changes]),
        calibration_error(reliability(steps)),
    )


def _pairs(course: Course) -> list[tuple[Stretch | None, Stretch]]:
    """Every stretch and the one before it."""
    return list(zip([None, *course.stretches], course.stretches, strict=False))


def _median(values: Sequence[int]) -> float | None:
    return float(np.median(values)) if values else None


def reliability(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each of `BINS` that has steps: their number `n`, the mean `probability` of the likeliest intent,
    and the share of the steps in which it is `right`."""
    bins = np.minimum((steps["probability"] * BINS).astype(int), BINS - 1)
    right = (steps["likeliest"] == steps["truth"]).astype(float)
    parts = pd.DataFrame({"bin": bins, "n": 1, "probability": steps["probability"], "right": right}).groupby("bin")
    return parts.agg({"n": "sum", "probability": "mean", "right": "mean"}).reset_index(drop=True)


def calibration_error(bins: pd.DataFrame) -> float:
    """The expected calibration error: the mean |share right - probability| of the bins, weighed by their steps."""
    return float(np.average((bins["right"] - bins["probability"]).abs(), weights=bins["n"]))


def over_time(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each number of steps `since` a stretch began: the `n` stretches that last so long, the share of
    them in which the assistant is `right`, and the mean probability `of_truth`."""
    right = (steps["acts_for"] == steps["truth"]).astype(float)
    parts = steps.assign(right=right, n=1).groupby("since")
    return parts.agg({"n": "sum", "right": "mean", "of_truth": "mean"}).reset_index()


def table(summaries: Mapping[str, Summary], curves: Mapping[str, pd.DataFrame], period: float | None) -> str:
    """A line for each channels, with what the numbers mean."""
    titles = ("channels", "steps", "right", "log score", "recognised", "followed", "ECE")
    lines = [_line(titles, [f"right@{since}" for since in SINCE])]
    for name, one in summaries.items():
        at = curves[name].set_index("since")["right"]
        shares = [f"{at[since]:.2f}" if since in at else "-" for since in SINCE]
        medians = ["-" if value is None else f"{value:g}" for value in (one.recognised, one.followed)]
        cells = (name, str(one.steps), f"{one.right:.3f}", f"{one.log_score:.3f}", *medians, f"{one.error:.3f}")
        lines.append(_line(cells, shares))
    episodes = next(iter(summaries.values())).episodes
    lasts = "" if period is None else f"; a step is {1000 * period:.0f} ms"
    notes = [
        f"{episodes} episodes{lasts}. right: share of the steps in which the",
        "assistant acts for what is done next, right@n: of those n steps after it became that. log score: mean log",
        "probability of it, in nats. recognised: median steps of a task until the belief gives it more than half.",
        "followed: median steps until the assistant acts for another task after the demonstrator went on to it. ECE:",
        f"expected calibration error of the probability of the likeliest intent, {BINS} bins.",
    ]
    return "\n".join([*lines, "", *notes])


def _line(cells: Sequence[str], shares: Sequence[str]) -> str:
    widths = (10, 7, 8, 11, 12, 10, 7)
    name, *numbers = cells
    padded = [f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True)]
    return "".join([f"{name:<{widths[0]}}", *padded, *(f"{share:>10}" for share in shares)])


@main("belief")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/belief.yaml."""
    seed, most = whole("seed", cfg.seed, 0), whole("episodes", cfg.episodes, 1)
    if not OmegaConf.is_list(cfg.held) or not cfg.held:
        raise UserError(f"held must be a list of channels such as [wrist,random-3], got {cfg.held!r}")
    directory, folder = RunDirectory.open(cfg.run), usable_folder(Path(cfg.out or Path(cfg.run, "belief")))
    channels = [channels_of(one, directory.config().env) for one in cfg.held]
    assistant, demonstrations = load_assistant(cfg.run), judging_episodes(cfg, directory)
    shown = dataclasses.replace(demonstrations, episodes=demonstrations.episodes[:most])
    with one_thread():
        found = courses(assistant, shown, channels, seed, cfg.meant)
    print(write(found, folder, directory.config().env.get("period")), KNOWN[cfg.meant], sep="\n")
    print(f"out: {folder}")


def write(found: Mapping[str, Sequence[Course]], folder: Path, period: float | None = None) -> str:
    """Write what the courses, whose steps take `period` seconds, say into `folder`; returns the table."""
    steps = frame(found)
    parts = {str(name): part for name, part in steps.groupby("channels", sort=False)}
    summaries = {name: summarised(found[name], part) for name, part in parts.items()}
    curves = {name: over_time(part) for name, part in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "belief.csv", steps.to_csv(index=False, float_format="%.4g").encode())
    atomic_write(folder / "belief.png", recognition_over_time(curves, period))
    levels = {name: reliability(part) for name, part in parts.items()}
    atomic_write(folder / "reliability.png", reliability_of_belief(levels))
    return table(summaries, curves, period)


if __name__ == "__main__":
    run()
