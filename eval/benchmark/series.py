"""What the report's curves show, as tables: reward over strength, and how far p-values are from uniform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

LEVELS = np.linspace(0, 1, 101)


def strengths(tidied: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The cells of `summary` that lie on a strength curve, with the `panel` they are drawn in and their `strength`.

    A curve has a panel; one that was measured on several channels has a panel for each of them.
    """
    keys = ["row", "curve", "strength", "channels"]
    places = tidied.loc[tidied["curve"].notna() & tidied["strength"].notna(), keys].drop_duplicates()
    split = set(places["curve"][places.duplicated(["curve", "strength"])])
    places["panel"] = [
        f"{curve} on {channels}" if curve in split else str(curve)
        for curve, channels in places[["curve", "channels"]].itertuples(index=False)
    ]
    columns = ["training_seeds", "episodes", "n", "reward", "reward_low", "reward_high"]
    return places[["panel", "strength", "row"]].merge(summary[["row", "assistant", *columns]], on="row")


def reliability(calibration: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Share of the p-values at or below each level, beside a 95% band that uniform ones would stay in as a whole.

    The band is level ± sqrt(log(2 / 0.05) / (2 n)), for independent p-values: Massart, "The tight constant in the
    Dvoretzky-Kiefer-Wolfowitz inequality", Ann. Probab. 18(3), 1990.
    """
    parts = []
    for channels, p_values in calibration.items():
        values = np.sort(np.asarray(p_values, dtype=float))
        if not len(values):
            continue
        reach = np.sqrt(np.log(2 / 0.05) / (2 * len(values)))
        share = np.searchsorted(values, LEVELS, side="right") / len(values)
        low, high = np.clip(LEVELS - reach, 0, 1), np.clip(LEVELS + reach, 0, 1)
        columns = {"level": LEVELS, "share": share, "low": low, "high": high}
        parts.append(pd.DataFrame({"channels": channels, "n": len(values), **columns}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["channels", "level", "share"])


def calibration_text(levels: pd.DataFrame) -> list[str]:
    """A sentence for each set of channels: is the score calibrated, as far as so many p-values can tell."""
    sentences = []
    for channels, part in levels.groupby("channels", sort=False):
        off = part.loc[(part["share"] - part["level"]).abs().idxmax()]
        inside = ((part["share"] >= part["low"]) & (part["share"] <= part["high"])).all()
        five = part.loc[(part["level"] - 0.05).abs().idxmin(), "share"]
        word = "indistinguishable from uniform" if inside else "not uniform"
        most = f"at most {abs(off['share'] - off['level']):.3f} off the diagonal, at level {off['level']:.2f}"
        sentences.append(f"{channels}: {word}; {five:.1%} of p-values are at most 0.05; {most} (n = {off['n']:,}).")
    return sentences
