"""Demonstrations of a scripted operator: recorded into the local Minari store once, then read like any other set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from autonomy.checks import whole
from autonomy.data.minari import MinariSource
from autonomy.data.source import Reading
from autonomy.types import Demonstrations


class ScriptedSource:
    """`n_episodes` demonstrations, the same ones for the same `seed`.

    `generate(dataset_id, n_episodes=, seed=) -> id` records them unless they are there; configuration says
    which function it is, since the method knows no simulator. A `dataset_id` of
    None leaves the id to `generate`. The rest is as in `MinariSource`. Raises `UserError` for an
    unusable setting.
    """

    def __init__(
        self,
        generate: Callable[..., str],
        n_episodes: int = 150,
        seed: int = 0,
        dataset_id: str | None = None,
        intents: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._generate, self._dataset_id = generate, dataset_id
        self._n_episodes = whole("data.n_episodes", n_episodes, low=1)
        self._seed = whole("data.seed", seed, low=0)
        self._intents, self._reading = intents, reading

    def load(self) -> Demonstrations:
        """The recorded episodes; the first call with these settings records them."""
        id = self._generate(self._dataset_id, n_episodes=self._n_episodes, seed=self._seed)
        demonstrations = MinariSource(id, intents=self._intents, reading=self._reading).load()
        return dataclasses.replace(demonstrations, source=f"scripted: {id}")
