"""Prints how often the intervals cover and the tests reject, on simulated tables whose truth is known.

python -m eval.stats
python -m eval.stats 'designs=[[5,40]]' replicates=500
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from omegaconf import DictConfig, ListConfig
from tqdm import tqdm

from autonomy.checks import whole
from autonomy.cli import main
from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from eval.settings import usable_folder
from eval.stats import LEVEL, clustered_interval, compare, interquartile_mean, probability_of_improvement
from eval.stats.clustered import studentised, weighted_iqm, weighted_mean
from eval.stats.simulate import PAIRED, SINGLE, Design, Scenario, coverage, percentile_interval, relative_width

NOTES = (
    "percentile: the two-level bootstrap's percentiles, uncorrected. clustered: eval.stats.clustered_interval.",
    "width: its median, over that of the normal interval with the standard error known. p: these trained models on",
    "new episodes, so it rejects too often where seeds differ. p_seeds: models trained again as well; the clustered",
    "interval of the difference excludes zero. improvement: the interval of the probability of improvement covers",
    "0.5. Rewards are 0 to 4. `mostly seeds` is a limit: no method sees a tail that few training seeds never showed.",
)


@main("stats")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/stats.yaml."""
    replicates, slow = whole("replicates", cfg.replicates, 1), whole("slow_replicates", cfg.slow_replicates, 1)
    designs, seed = [_design(entry) for entry in cfg.designs], whole("seed", cfg.seed, 0)
    out = None if cfg.out is None else usable_folder(Path(cfg.out).parent) / Path(cfg.out).name
    text = report(designs, (replicates, min(slow, replicates)), seed)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(out, text.encode())
    print(text)


def _design(entry: object) -> Design:
    if not isinstance(entry, ListConfig) or len(entry) != 2:
        raise UserError(f"designs must be pairs [training seeds, episodes], got {entry!r}")
    return whole("training seeds", entry[0], 1), whole("episodes", entry[1], 1)


def report(designs: list[Design], counts: tuple[int, int], seed: int) -> str:
    """Both tables as Markdown."""
    rng = np.random.default_rng(seed)
    single, paired = ([(some, design) for some in scenarios for design in designs] for scenarios in (SINGLE, PAIRED))
    lines = [
        f"Coverage of 95% intervals of the mean, {counts[0]:,} tables a line.",
        "",
        "| varies | seeds x episodes | percentile | clustered | width |",
        "|---|---|---|---|---|",
        *(_covered(some, design, counts[0], rng) for some, design in tqdm(single, desc="one arm", unit="line")),
        "",
        f"Two arms alike: rejections at {LEVEL:.0%}, of {counts[0]:,} pairs of tables a line by p_seeds and of",
        f"{counts[1]:,} by p; coverage of two more intervals, {counts[1]:,} each.",
        "",
        "| varies | seeds x episodes | p_seeds | p | improvement | IQM of one |",
        "|---|---|---|---|---|---|",
        *(_paired(some, design, counts, rng) for some, design in tqdm(paired, desc="two arms", unit="line")),
    ]
    return "\n".join([*lines, "", *NOTES]) + "\n"


def _covered(scenario: Scenario, design: Design, count: int, rng: np.random.Generator) -> str:
    tables, truth = scenario.draw(1, count, design, rng)[0], scenario.truth(weighted_mean)
    intervals = [clustered_interval(table) for table in tables]
    plain = coverage([percentile_interval(table) for table in tables], truth)
    return (
        f"{_names(scenario, design)} {plain:.1%} | {coverage(intervals, truth):.1%} | {relative_width(intervals):.2f} |"
    )


def _paired(scenario: Scenario, design: Design, counts: tuple[int, int], rng: np.random.Generator) -> str:
    first, second = scenario.draw(2, counts[0], design, rng)
    p_seeds = np.mean([studentised(difference).p() < LEVEL for difference in first - second])
    pairs = list(zip(first, second, strict=True))[: counts[1]]
    p = np.mean([compare(*pair).p < LEVEL for pair in pairs])
    better = coverage([probability_of_improvement(*pair) for pair in pairs], 0.5)
    iqm = coverage([interquartile_mean(table) for table, _ in pairs], scenario.truth(weighted_iqm))
    return f"{_names(scenario, design)} {p_seeds:.1%} | {p:.1%} | {better:.1%} | {iqm:.1%} |"


def _names(scenario: Scenario, design: Design) -> str:
    return f"| {scenario.name} | {design[0]} x {design[1]} |"


if __name__ == "__main__":
    run()
