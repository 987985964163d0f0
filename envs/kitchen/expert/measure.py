"""How reliable the expert is: success over perturbed episodes, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any

import gymnasium
import numpy as np
from scipy.stats import binomtest

import envs
from autonomy.types import Array
from envs.kitchen.expert.expert import Expert
from envs.kitchen.expert.noise import ActionNoise, perturbed_action
from envs.kitchen.tasks import TASK_SETS, TASKS, resolve_tasks
from envs.parallel import map_episodes

PERTURBATION = ActionNoise()


@dataclass(frozen=True)
class Style:
    """How the expert moves: see `Expert`."""

    speed: float = 1.0
    smooth: float = 0.0
    jitter: float = 0.3


@dataclass(frozen=True)
class Trial:
    """One episode to run: the tasks in order, the episode's seed and the style."""

    order: tuple[str, ...]
    seed: int
    style: Style


@dataclass(frozen=True)
class Outcome:
    """Whether the environment counted all tasks as completed, and after how many steps."""

    success: bool
    steps: int


@dataclass(frozen=True)
class Row:
    """One line of the table: `outcomes` of trials that share a `label`."""

    label: str
    outcomes: tuple[Outcome, ...]

    def __str__(self) -> str:
        n, successes = len(self.outcomes), [outcome for outcome in self.outcomes if outcome.success]
        interval = binomtest(len(successes), n).proportion_ci(method="wilson")
        median = f"{np.median([outcome.steps for outcome in successes]):.0f}" if successes else "-"
        share = f"{len(successes)}/{n}"
        bounds = f"[{interval.low:.1%}, {interval.high:.1%}]"
        return f"{self.label:<28}{share:>8}{len(successes) / n:>9.1%}   {bounds:<17}{median:>6}"


def begin(trial: Trial) -> tuple[Expert, Any]:
    """The expert and the series of disturbances of a trial; both depend on its seed alone."""
    rng, noise_rng = np.random.default_rng(trial.seed).spawn(2)
    style = trial.style
    expert = Expert(trial.order, rng, jitter=style.jitter, speed=style.speed, smooth=style.smooth)
    return expert, PERTURBATION.offsets(noise_rng)


@cache
def _kitchen(tasks: tuple[str, ...]) -> gymnasium.Env[Array, Array]:
    return gymnasium.make("autonomy/kitchen-v1", tasks=tasks, disable_env_checker=True)


def run_trial(trial: Trial) -> Outcome:
    """Run one perturbed episode until the environment ends it: all tasks completed, or 280 steps."""
    env = _kitchen(resolve_tasks(trial.order))
    env.reset(seed=trial.seed)
    expert, offsets = begin(trial)
    ended, steps, success = False, 0, False
    while not ended:
        action = perturbed_action(expert.act(env.unwrapped), next(offsets))
        _, _, success, truncated, _ = env.step(action)
        ended, steps = success or truncated, steps + 1
    return Outcome(success, steps)


def plan(episodes: int, order_episodes: int, seed: int, style: Style) -> list[tuple[str, Trial]]:
    """The labelled trials: `episodes` of each single task, `order_episodes` of each order of the kitchen-mixed
    tasks."""
    singles = [((task,), task) for task in TASKS for _ in range(episodes)]
    orders = list(permutations(TASK_SETS["mixed"]))
    label = f"kitchen-mixed, {len(orders)} orders"
    chains = [(order, label) for order in orders for _ in range(order_episodes)]
    return [(label, Trial(order, seed + index, style)) for index, (order, label) in enumerate(singles + chains)]


def measure(trials: Sequence[tuple[str, Trial]], processes: int | None = None) -> tuple[list[Row], list[Trial]]:
    """The table's rows, and the trials that failed. The same for any number of processes."""
    outcomes = map_episodes(run_trial, [trial for _, trial in trials], processes=processes, label="expert")
    rows: dict[str, list[Outcome]] = {}
    for (label, _), outcome in zip(trials, outcomes, strict=True):
        rows.setdefault(label, []).append(outcome)
    failed = [trial for (_, trial), outcome in zip(trials, outcomes, strict=True) if not outcome.success]
    return [Row(label, tuple(group)) for label, group in rows.items()], failed


def table(rows: Sequence[Row], failed: Sequence[Trial], trials: Sequence[tuple[str, Trial]]) -> str:
    """The success table with what it was measured on."""
    seeds = [trial.seed for _, trial in trials]
    noise = PERTURBATION
    header = f"{'':<28}{'success':>8}{'':>9}   {'95% interval':<17}{'steps':>6}"
    failures = [f"failed: seed {trial.seed}, {', '.join(trial.order)}" for trial in failed]
    notes = [
        f"{len(trials)} episodes of at most {envs.MAX_EPISODE_STEPS} steps, seeds {min(seeds)} to {max(seeds)}",
        f"expert: {trials[0][1].style}",
        f"perturbation: N(0, {noise.start_sigma}) on the 7 arm actions in the first {noise.start_steps} steps,",
        f"and N(0, {noise.sigma}) on all 9 actions at every step",
        "interval: Wilson score; steps: median until the last completion, over the successes",
    ]
    return "\n".join([header, *map(str, rows), *failures, *notes])
