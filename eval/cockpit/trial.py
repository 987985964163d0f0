"""A trial with a person: paired episodes with and without the assistant in blind order, a questionnaire after each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from autonomy.checks import number, whole
from autonomy.types import UserError
from eval.benchmark.verdict import NOBODY
from eval.cockpit.logbook import Entry
from eval.episodes import EPISODES, PERSON, EpisodeRecord, read_episodes, summarise, table, write_episodes
from eval.stats import compare

SCALES = {
    "mental demand": "How much did you have to think? 0: hardly, 100: very much",
    "physical demand": "How much did your hands have to do? 0: hardly anything, 100: very much",
    "temporal demand": "How hurried was the pace? 0: not at all, 100: very much",
    "performance": "How well did you do what you were asked to? 0: perfectly, 100: I failed",
    "effort": "How hard did you have to work for it? 0: not at all, 100: very hard",
    "frustration": "How irritated or discouraged were you? 0: not at all, 100: very much",
}
"""Of the NASA task load index (Hart, Staveland, Advances in Psychology 52, 1988), with what is asked."""
READY, DRIVING, ASKING, OVER = "ready", "driving", "asking", "over"


@dataclasses.dataclass(frozen=True)
class Leg:
    """One episode of the plan."""

    seed: int
    assisted: bool


def plan(pairs: int, seed: int) -> list[Leg]:
    """Each of the episodes `seed`, `seed` + 1, ... with and without the assistant, which first by a coin."""
    coins = np.random.default_rng(seed).permutation([i % 2 == 0 for i in range(pairs)])
    return [Leg(seed + i, bool(first) == half) for i, first in enumerate(coins) for half in (True, False)]


class Trial:
    """Where a trial is. Its finished episodes are in `folder`, and the same trial goes on where it was left.

    Raises `UserError` for a folder that holds another trial.
    """

    def __init__(self, pairs: int, seed: int, folder: Path, assistant: str, channels: str) -> None:
        self.legs, self.state = plan(whole("pairs", pairs, 1), whole("seed", seed, 0)), READY
        self._names, self._channels, self._file = {True: assistant, False: NOBODY}, channels, folder / EPISODES
        self.records: list[EpisodeRecord] = read_episodes(self._file) if self._file.is_file() else []
        for record, leg in zip(self.records, self.legs, strict=False):
            if (record.seed, record.assistant, record.channels) != (leg.seed, self._names[leg.assisted], channels):
                raise UserError(f"{self._file} holds another trial; give another out=...")
        self._next()

    @property
    def leg(self) -> Leg:
        """The one that is driven now or next."""
        return self.legs[len(self.records)]

    def began(self) -> None:
        """The person started the next episode."""
        self.state = DRIVING

    def ended(self) -> None:
        """The episode is over, and the person is asked."""
        self.state = ASKING

    def answer(self, ratings: Mapping[str, float], entry: Entry) -> None:
        """Keep the episode `entry` with the person's `ratings`, 0 to 100 on each of `SCALES`.

        Raises `UserError` for a scale that is missing or out of range.
        """
        values = [number(scale, ratings.get(scale), 0, 100) for scale in SCALES]
        self.records.append(self._record(entry, float(np.mean(values))))
        write_episodes(self._file, self.records)
        self._next()

    def words(self) -> str:
        """For the person: where we are, and nothing of who helps."""
        place = f"episode {len(self.records) + 1} of {len(self.legs)}"
        return {
            READY: f"Next: {place}. Press Start when you are ready.",
            DRIVING: f"This is {place}: do as much of what you were asked to as you can.",
            ASKING: "How was that? Answer the questions, then press Submit.",
            OVER: "The trial is over. Thank you!",
        }[self.state]

    def report(self) -> str:
        """Rewards, workload and paired differences, as text; nothing before the first pair is complete."""
        arms = [[record for record in self.records if record.assistant == name] for name in self._names.values()]
        pairs = min(map(len, arms))
        if not pairs:
            return "no pair of episodes is complete yet"
        done = {"tasks": sorted({task for record in self.records for task in record.completed})}
        lines = [
            table([summarise(arm[:pairs], done) for arm in arms]),
            f"assisted minus unassisted, {pairs} pairs:",
        ]
        for what in ("reward", "workload"):
            ours, theirs = ([[float(getattr(record, what)) for record in arm[:pairs]]] for arm in arms)
            lines.append(f"{what} {compare(ours, theirs)}")
        return "\n".join([*lines, "workload: unweighted mean of the six scales of the NASA task load index, 0 to 100"])

    def _next(self) -> None:
        self.state = OVER if len(self.records) == len(self.legs) else READY

    def _record(self, entry: Entry, workload: float) -> EpisodeRecord:
        return EpisodeRecord(
            self._names[self.leg.assisted], PERSON, self._channels,
            mask=entry.mask,
            seed=self.leg.seed,
            reward=entry.reward,
            length=entry.steps,
            completed=entry.completed,
            intended=(),
            first_intended=None,
            deviation=None,
            operator_error=None,
            ms=float(np.mean(entry.ms)),
            ms_p50=float(np.percentile(entry.ms, 50)),
            ms_p99=float(np.percentile(entry.ms, 99)),
            workload=workload,
        )  # fmt: skip
