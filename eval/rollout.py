"""Plays paired episodes of an assistant and an operator on all cores, and summarises them.

    python -m eval.rollout run=DIR operator=expert channels=shoulder episodes=40 seed=1000 [video=true] [processes=N]

Work is sharded by episode: the seeds are cut into groups of `batch`, and each group is played whole by one process, so
the records are the same for any number of processes, also for assistants that sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from tqdm import tqdm

from autonomy.cli import main
from autonomy.types import UserError
from envs.parallel import imap_episodes
from eval.coverage import warn_untrained
from eval.episodes import EPISODES, SUMMARY, EpisodeRecord, summarise, table, write_episodes, write_summary
from eval.play import play
from eval.setting import Setting
from eval.settings import rollout_setting, seeds_of, usable_folder
from eval.video import record_video

BATCH = 20
"""Episodes that a process plays side by side: a network answers twenty rows in hardly more time than five."""
Job = tuple[Setting, tuple[int, ...], int]


def evaluate(
    setting: Setting, seeds: Sequence[int], *, processes: int | None = None, batch: int = BATCH, label: str = "episodes"
) -> list[EpisodeRecord]:
    """The episodes `seeds` of one setting, in the order of the seeds. See `evaluate_all`."""
    return next(evaluate_all([setting], seeds, processes=processes, batch=batch, label=label))[1]


def evaluate_all(
    settings: Sequence[Setting],
    seeds: Sequence[int],
    *,
    processes: int | None = None,
    batch: int = BATCH,
    label: str = "episodes",
) -> Iterator[tuple[int, list[EpisodeRecord]]]:
    """`(index of the setting, its records in the order of the seeds)`, each as soon as its last episode has ended.

    `processes`: default all cores; 1 plays in this process. `batch`: how many episodes a process plays side by side.
    Raises `UserError` for no seeds, repeated seeds, and for whatever is wrong in a setting.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UserError("episodes need one or more different seeds of at least 0")
    for setting in settings:
        setting.labels()
    groups = [tuple(seeds[i : i + batch]) for i in range(0, len(seeds), batch)]
    jobs: list[Job] = [(setting, group, batch) for setting in settings for group in groups]
    finished: dict[int, list[EpisodeRecord]] = {}
    with tqdm(total=len(settings) * len(seeds), desc=label, unit="episode", dynamic_ncols=True) as bar:
        for index, records in _results(jobs, processes):
            finished[index] = records
            bar.update(len(records))
            which, first = index // len(groups), index - index % len(groups)
            ours = range(first, first + len(groups))
            if all(job in finished for job in ours):
                yield which, [record for job in ours for record in finished.pop(job)]


def _play(job: Job) -> list[EpisodeRecord]:
    return play(*job)


def _results(jobs: Sequence[Job], processes: int | None) -> Iterator[tuple[int, list[EpisodeRecord]]]:
    if processes == 1:
        return ((index, _play(job)) for index, job in enumerate(jobs))
    return imap_episodes(_play, jobs, processes=processes)


@main("rollout")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/rollout.yaml."""
    setting, folder = rollout_setting(cfg)
    seeds = seeds_of(cfg)
    setting.check_world()
    usable_folder(folder)
    records = evaluate(setting, seeds, processes=cfg.processes, batch=cfg.batch)
    summaries = save(folder, [records], setting.env)
    if cfg.video:
        record_video(setting, seeds[0], folder)
    warn_untrained(setting.assistant(), records)
    print(table(summaries))
    print(f"out: {folder}")


def save(folder: Path, groups: Sequence[Sequence[EpisodeRecord]], env: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write `episodes.jsonl` with all groups' records and `summary.json` with a summary of each; the summaries."""
    summaries = [summarise(records, env) for records in groups]
    write_episodes(folder / EPISODES, [record for records in groups for record in records])
    write_summary(folder / SUMMARY, summaries)
    return summaries


if __name__ == "__main__":
    run()
