"""What assistants filled in on held-out demonstrations, as tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd

from autonomy.types import ActionBox
from eval.filling import BANDS, Filled
from eval.stats import compare, holm, mean_interval

Found = dict[str, dict[str, Filled]]
"""By channels, then by assistant; the first assistant is the one that is compared with the others."""
TITLES = [
    *("held", "assistant", "error [95%]", "minus the first's [95%], p", "log p [95%]"),
    *(f"in {band:.0%}" for band in BANDS),
    "right intent",
]


def frame(found: Found) -> pd.DataFrame:
    """A row for each channels, assistant and episode: what `table` averages."""
    rows = [
        pd.DataFrame(
            {
                "channels": channels,
                "assistant": name,
                "episode": np.unique(one.episode),
                "error": one.by_episode(np.abs(one.gaps)),
                "log_prob": one.by_episode(one.log_prob),
                **{f"inside_{band:.0%}": one.by_episode(one.inside[..., i]) for i, band in enumerate(BANDS)},
                "right": one.by_episode(one.right),
            }
        )
        for channels, group in found.items()
        for name, one in group.items()
    ]
    return pd.concat(rows, ignore_index=True)


def dimensions(found: Found, box: ActionBox, labels: Sequence[str]) -> pd.DataFrame:
    """A row for each channels, assistant and filled dimension: its mean error in the robot's units."""
    names = labels or [str(dim) for dim in range(len(box.low))]
    rows = []
    for channels, group in found.items():
        for name, one in group.items():
            filled = np.isfinite(one.gaps).sum(0)
            errors = box.half * np.nansum(np.abs(one.gaps), 0) / np.maximum(filled, 1)
            own = zip(names, errors.tolist(), filled.tolist(), strict=True)
            rows += [(channels, name, label, error) for label, error, steps in own if steps]
    return pd.DataFrame(rows, columns=["channels", "assistant", "dimension", "error"])


def cells(episodes: pd.DataFrame) -> list[list[str]]:
    """A row of text for each channels and assistant, below `TITLES`."""
    differences, rows = _differences(episodes), []
    for (channels, name), part in episodes.groupby(["channels", "assistant"], sort=False):
        key = (str(channels), str(name))
        row = [*key, _interval(part["error"]), differences.get(key, ""), _interval(part["log_prob"])]
        rows.append([*row, *(_mean(part[column]) for column in (*(f"inside_{band:.0%}" for band in BANDS), "right"))])
    return rows


def notes(episodes: pd.DataFrame) -> str:
    """What the numbers mean."""
    return (
        f"{episodes['episode'].nunique()} episodes that training has not seen; one trained model each. error: mean "
        "|filled in - demonstrated| of the filled dimensions, where 1 is half of an action's range. p: of no "
        "difference in error, over episodes, after Holm's correction over all lines. log p: of what was demonstrated "
        "given what was held, in nats a filled dimension. in 50%, in 90%: how often it lies in that central share of "
        "the assistant's law. right intent: the share of the steps in which it acts for what was demonstrated."
    )


def table(episodes: pd.DataFrame) -> str:
    """Markdown of `cells`, with what the numbers mean."""
    lines = [TITLES, ["---"] * len(TITLES), *cells(episodes)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *textwrap.wrap(notes(episodes), 116)])


def _differences(episodes: pd.DataFrame) -> dict[tuple[str, str], str]:
    """How much larger each assistant's error is than the first's, with its p."""
    compared = {}
    for channels, group in episodes.groupby("channels", sort=False):
        wide = group.pivot(index="episode", columns="assistant", values="error")
        first, *others = group["assistant"].unique()
        for other in others:
            compared[channels, other] = compare([wide[other].to_numpy()], [wide[first].to_numpy()])
    corrected = holm([one.p_seeds for one in compared.values()])  # a single seed: p_seeds is of episodes
    return {
        key: f"{one.difference.mean:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}], {p:.3f}"
        for (key, one), p in zip(compared.items(), corrected, strict=True)
    }


def _interval(values: pd.Series[float]) -> str:
    known = values.dropna()
    if not len(known):
        return "-"
    one = mean_interval(known.to_numpy())
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _mean(values: pd.Series[float]) -> str:
    return "-" if values.isna().all() else f"{values.mean():.2f}"
