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
    *("held", "assistant", "error [95%]", "error minus the first's [95%], p"),
    *("log p [95%]", "log p minus the first's [95%], p"),
    *(f"in {band:.0%}" for band in BANDS),
    "right intent",
]


def frame(found: Found, model: int = 0) -> pd.DataFrame:
    """A row for each channels, assistant and episode: what `table` averages. `model` says which trainings these are."""
    rows = [
        pd.DataFrame(
            {
                "channels": channels,
                "assistant": name,
                "model": model,
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


def dimensions(found: Sequence[Found], box: ActionBox, labels: Sequence[str]) -> pd.DataFrame:
    """A row for each channels, assistant and filled dimension: its mean error in the robot's units, over all models."""
    names = labels or [str(dim) for dim in range(len(box.low))]
    rows = []
    for channels, group in found[0].items():
        for name in group:
            gaps = np.concatenate([one[channels][name].gaps for one in found])
            filled = np.isfinite(gaps).sum(0)
            errors = box.half * np.nansum(np.abs(gaps), 0) / np.maximum(filled, 1)
            own = zip(names, errors.tolist(), filled.tolist(), strict=True)
            rows += [(channels, name, label, error) for label, error, steps in own if steps]
    return pd.DataFrame(rows, columns=["channels", "assistant", "dimension", "error"])


def cells(episodes: pd.DataFrame) -> list[list[str]]:
    """A row of text for each channels and assistant, below `TITLES`."""
    errors, log_probs = (_differences(episodes, column) for column in ("error", "log_prob"))
    rows = []
    for (channels, name), part in episodes.groupby(["channels", "assistant"], sort=False):
        key = (str(channels), str(name))
        row = [*key, _interval(part["error"]), errors.get(key, ""), _interval(part["log_prob"]), log_probs.get(key, "")]
        rows.append([*row, *(_mean(part[column]) for column in (*(f"inside_{band:.0%}" for band in BANDS), "right"))])
    return rows


def notes(episodes: pd.DataFrame) -> str:
    """What the numbers mean."""
    return (
        f"{len(_keys(episodes).drop_duplicates())} episodes that training has not seen; {_models(episodes)} error: "
        "mean |filled in - demonstrated| of the filled dimensions, where 1 is half of an action's range. p: of no "
        "difference, over episodes, after Holm's correction over all lines. log p: of what was demonstrated "
        "given what was held, in nats a filled dimension. in 50%, in 90%: how often it lies in that central share of "
        "the assistant's law. right intent: the share of the steps in which it acts for what was demonstrated."
    )


def table(episodes: pd.DataFrame) -> str:
    """Markdown of `cells`, with what the numbers mean."""
    lines = [TITLES, ["---"] * len(TITLES), *cells(episodes)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *textwrap.wrap(notes(episodes), 116)])


def _keys(episodes: pd.DataFrame) -> pd.DataFrame:
    """Which trainings and which of their held-out episodes each row is about; older tables are of one model."""
    return episodes[["episode"]].assign(model=episodes.get("model", 0))


def _models(episodes: pd.DataFrame) -> str:
    models = _keys(episodes)["model"].nunique()
    if models == 1:
        return "one trained model each."
    return f"{models} trained models each, with held-out episodes of their own; one that two held out counts twice."


def _differences(episodes: pd.DataFrame, column: str) -> dict[tuple[str, str], str]:
    """How much larger each assistant's values in `column` are than the first's, with the p, where both have some."""
    compared = {}
    for channels, group in episodes.groupby("channels", sort=False):
        keyed = group.assign(**_keys(group))
        wide = keyed.pivot(index=["model", "episode"], columns="assistant", values=column).dropna(axis=1, how="all")
        first, *others = group["assistant"].unique()
        for other in [name for name in others if {first, name} <= set(wide.columns)]:
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
