"""Actions given the state, from any source of demonstrations; whole episodes are held out."""

from __future__ import annotations

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autonomy.checks import number, whole
from autonomy.data.load import load
from autonomy.data.normaliser import Normaliser
from autonomy.data.split import split
from autonomy.fit import Rows
from autonomy.types import Demonstrations
from eval.density.data import DensityData
from eval.settings import compose_config


class RecordedActions:
    """x: the actions (N, D) in [-1, 1]; context: the states (N, S), standardised by those of the training episodes.

    `source` is a configuration of configs/data, `path` and `id` are its `data.path` and `data.id`. Of the episodes
    the share `test` is held out, and of the others the share `validation`.
    """

    def __init__(
        self,
        source: str,
        path: str | list[str] | None,
        id: str | None,
        env: str,
        test: float,
        validation: float,
        seed: int,
    ) -> None:
        config = compose_config("data", [f"env={env}", f"data={source}"]).data
        for key, value in (("path", path), ("id", id)):
            if value is not None:
                OmegaConf.update(config, key, value, merge=False)
        self._config, self._seed = config, whole("data.seed", seed, 0)
        self._test, self._validation = number("data.test", test, 0, 0.9), number("data.validation", validation, 0, 0.9)

    def load(self) -> DensityData:
        """The rows of the three groups of episodes."""
        demonstrations = load(instantiate(self._config))
        rng = np.random.default_rng(self._seed)
        others, test = split(demonstrations, self._test, rng)
        train, validation = split(others, self._validation, rng)
        normaliser = Normaliser.fit(train.rows()[0])
        first, second, third = (_rows(part, normaliser) for part in (train, validation, test))
        clusters = torch.repeat_interleave(torch.tensor([len(episode) for episode in test]))
        return DensityData(f"actions, {demonstrations.source}", first, second, third, clusters)


def _rows(demonstrations: Demonstrations, normaliser: Normaliser) -> Rows:
    states, actions = (torch.from_numpy(array) for array in demonstrations.rows())
    return Rows(normaliser(states), actions)
