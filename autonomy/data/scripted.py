"""Demonstrations of a scripted expert: recorded into the local Minari store once, then read like any other set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from autonomy.checks import choice, whole
from autonomy.data import kitchen
from autonomy.data.minari import MinariSource
from autonomy.types import Demonstrations


class ScriptedSource:
    """`n_episodes` demonstrations of a `mixture` of task orders, the same ones for the same `seed`.

    `generate(dataset_id, n_episodes=, seed=, mixture=) -> id` records them unless they are there; configuration says
    which function it is, since the method knows no simulator. `mixture` is mixed (also when None), partial or complete.
    A `dataset_id` of None leaves the id to `generate`. Raises `UserError` for an unusable setting.
    """

    def __init__(
        self,
        generate: Callable[..., str],
        tasks: Iterable[str],
        obs: str = "pose",
        n_episodes: int = 150,
        seed: int = 0,
        mixture: str | None = None,
        dataset_id: str | None = None,
    ) -> None:
        self._generate, self._dataset_id, self._mixture = generate, dataset_id, mixture or "mixed"
        self._n_episodes = whole("data.n_episodes", n_episodes, low=1)
        self._seed = whole("data.seed", seed, low=0)
        self._tasks = kitchen.check_tasks(tasks)
        self._obs = choice("obs", obs, kitchen.OBSERVATIONS)

    def load(self) -> Demonstrations:
        """The recorded episodes; the first call with these settings records them."""
        id = self._generate(self._dataset_id, n_episodes=self._n_episodes, seed=self._seed, mixture=self._mixture)
        demonstrations = MinariSource(id, self._tasks, self._obs).load()
        return dataclasses.replace(demonstrations, source=f"scripted: {id}")
