"""Held-out demonstrations as a test: some dimensions are given as they were, an assistant fills in the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from autonomy.assistants.filled import filled_cdf, filled_log_prob
from autonomy.types import Array, Channels, Demonstrations, Episode, Mask, UserError
from eval.following import followed, open_to_all, truths_of

BANDS = (0.5, 0.9)
"""Central shares of a filled dimension's law; of what demonstrators did as much should lie in them."""


class Filled(NamedTuple):
    """What an assistant made of the N steps of some episodes.

    `episode` (N,): the number of each step's. `gaps` (N, D): filled minus demonstrated, NaN where the operator holds.
    `log_prob` (N,): log p(filled | held) of what was demonstrated, in nats a filled dimension, and `inside` (N, D, 2):
    does it lie in the bands, NaN where held; both all NaN for an assistant without a density. `right` (N,): does the
    assistant act for the demonstrated intent, NaN where that, or a belief, is missing.
    """

    episode: NDArray[np.int64]
    gaps: NDArray[np.float64]
    log_prob: NDArray[np.float64]
    inside: NDArray[np.float64]
    right: NDArray[np.float64]

    def by_episode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of values (N, ...) over the steps of each episode and what is not NaN, (E,); NaN where all is."""
        flat = values.reshape(len(values), -1)
        known = np.isfinite(flat)
        sums, counts = (
            np.bincount(self.episode, part.sum(1)) for part in (np.where(known, flat, 0.0), known.astype(float))
        )
        means = np.full(len(sums), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means


def fill(assistant: Any, demonstrations: Demonstrations, channels: Channels, seed: int) -> Filled:
    """What `assistant` fills in where an operator who does what was demonstrated holds `channels`.

    It is the very `predict` that plays, step after step; demonstrators may mean any of its intents. Channels are drawn
    with `seed`, for each episode. Raises `UserError` when they leave nothing to fill in.
    """
    episodes = list(demonstrations)
    masks = channels.sample(len(episodes), np.random.default_rng(seed))
    if masks.all():
        raise UserError(f"channels {channels.name} hold all dimensions, so nothing is filled in")
    steps = list(followed(open_to_all(assistant), episodes, masks))
    lengths = [len(episode) for episode in episodes]
    actions = _flat([step.actions for step in steps], lengths)
    beliefs, committed = (
        None if steps[0].memory is None else _flat([getattr(step.memory, part) for step in steps], lengths)
        for part in ("belief", "intent")
    )
    held = masks.repeat(lengths, 0)
    gaps = np.where(held, np.nan, actions.astype(np.float64) - demonstrations.rows()[1])
    log_prob, inside = _judged(assistant, demonstrations, held, beliefs)
    right = _right(assistant, demonstrations, committed)
    return Filled(np.arange(len(episodes)).repeat(lengths), gaps, log_prob, inside, right)


def _flat(steps: Sequence[NDArray[Any]], lengths: Sequence[int]) -> NDArray[Any]:
    """Steps (T) of episodes (E, ...) as rows (N, ...), episode after episode."""
    table = np.stack(steps, 1)
    return np.concatenate([table[row, :length] for row, length in enumerate(lengths)])


def _judged(
    assistant: Any, demonstrations: Demonstrations, held: Mask, beliefs: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `log_prob` and `inside` of `Filled`."""
    states, actions = (torch.from_numpy(part) for part in demonstrations.rows())
    rows = (assistant, states, actions, torch.from_numpy(held), None if beliefs is None else torch.from_numpy(beliefs))
    log_prob, cdf = filled_log_prob(*rows), filled_cdf(*rows)
    if log_prob is None or cdf is None:
        return np.full(len(held), np.nan), np.full((*held.shape, len(BANDS)), np.nan)
    from_middle = np.abs(2 * cdf.numpy() - 1)
    inside = np.stack([np.where(held, np.nan, from_middle <= band) for band in BANDS], 2)
    filled = (~held).sum(1)
    return np.where(filled > 0, log_prob.numpy() / np.maximum(filled, 1), np.nan), inside


def _right(assistant: Any, demonstrations: Demonstrations, committed: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Say where the assistant acts for what was demonstrated: `right` of `Filled`."""
    if committed is None or not demonstrations.intents:
        return np.full(demonstrations.steps, np.nan)
    labels, names = demonstrations.intents, assistant.intents
    truths = [np.full(len(e), -1) if e.intents is None else truths_of(e, labels, names) for e in demonstrations]
    truth = np.concatenate(truths)
    return np.where(truth < 0, np.nan, np.asarray(truth == committed, np.float64))


def repeated(demonstrations: Demonstrations, channels: Channels, seed: int) -> Filled:
    """What is filled in when each filled dimension does what it was demonstrated to do a step before, 0 at first."""
    episodes = list(demonstrations)
    lengths = [len(episode) for episode in episodes]
    held = channels.sample(len(episodes), np.random.default_rng(seed)).repeat(lengths, 0)
    before = np.concatenate([_before(episode) for episode in episodes])
    gaps = np.where(held, np.nan, before.astype(np.float64) - demonstrations.rows()[1])
    nothing = np.full(len(held), np.nan)
    return Filled(
        np.arange(len(episodes)).repeat(lengths), gaps, nothing, np.full((*held.shape, len(BANDS)), np.nan), nothing
    )


def _before(episode: Episode) -> Array:
    return np.concatenate([np.zeros_like(episode.actions[:1]), episode.actions[:-1]])
