"""What a benchmark's report says beside its numbers: how they came about, and what others published."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from envs.world import Score
from eval.scores import of_tasks


@dataclasses.dataclass(frozen=True)
class About:
    """A benchmark in words.

    `dataset` has entries such as source, episodes, transitions and hash; `budgets` gives each assistant's, such as
    parameters, steps, batch_size and seconds. `published` are rows of `label`, `value` and `source`. `calibration`:
    channels -> p-values of the intent score on held-out demonstrations, uniform when it is calibrated. `rows` are those
    on which the verdict rests; by default all that are on no strength curve.
    `grows` is what there is ever more of, such as demonstrations, where the curves are over trainings and not over an
    operator's strength. `score` is what the reward of an episode is; None: the number of tasks done.
    """

    name: str
    command: str
    versions: Mapping[str, str]
    machine: str
    dataset: Mapping[str, object]
    budgets: Mapping[str, Mapping[str, float | str]]
    training_seeds: Sequence[int]
    episode_seeds: Sequence[int]
    tasks: Sequence[str]
    published: Sequence[Mapping[str, str]] = ()
    calibration: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    rows: Sequence[str] = ()
    grows: str | None = None
    score: Score | None = None

    @property
    def scale(self) -> Score:
        """What a reward is: the `score`, or else what the tasks say."""
        return self.score or of_tasks(self.tasks)
