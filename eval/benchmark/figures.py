"""Figures of the benchmark's report, as PNG bytes: each draws the very table that is written beside it as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from envs.world import Score
from eval.benchmark.contrasts import BETTER, UNDECIDED, WORSE
from eval.benchmark.sections import NOTHING
from eval.benchmark.summary import FEW
from eval.benchmark.verdict import NOBODY, shown
from eval.figures import COLOURS, png
from eval.scores import axis

VERDICTS = {BETTER: COLOURS[0], WORSE: COLOURS[1], UNDECIDED: "#8a8a8a"}
PALETTE = (COLOURS[0], *(to_hex(colormaps["Dark2"](place)) for place in range(8)))
"""A colour an assistant: the first one blue, as everywhere."""
_SHADES = LinearSegmentedColormap.from_list("reward", ["#f7f8f8", "#c9dded", "#7fb2d9", "#2f7ab5", "#0f4475"])
_MARKERS = "osD^vP*Xhd"
_SMALL, _INK, _FAINT = 8.5, "#222222", "#6a6a6a"


def heat_map(summary: pd.DataFrame, score: Score) -> bytes:
    """The mean reward of every cell (`summarised`) as number and shade, with its interval below."""
    rows, names = (list(dict.fromkeys(summary[key])) for key in ("row", "assistant"))
    low, high = axis(score, summary["reward"])
    shades = np.full((len(rows), len(names)), np.nan)
    figure = _figure(2.2 + 0.82 * len(names), 0.75 + 0.46 * len(rows))
    axes = figure.add_subplot()
    for cell in summary.itertuples():
        place = rows.index(cell.row), names.index(cell.assistant)
        shades[place] = cell.reward
        ink = "white" if cell.reward > low + 0.55 * (high - low) else _INK
        mark = "†" if 0 < cell.training_seeds < FEW else ""
        axes.text(place[1], place[0] - 0.12, f"{cell.reward:.2f}{mark}", color=ink, ha="center", va="center", size=10)
        bounds = f"{cell.reward_low:.2f} to {cell.reward_high:.2f}"
        axes.text(place[1], place[0] + 0.25, bounds, color=ink, ha="center", va="center", size=6.8, alpha=0.85)
    for y, x in np.argwhere(np.isnan(shades)):
        axes.text(x, y, NOTHING, color=_FAINT, ha="center", va="center")
    axes.imshow(shades, cmap=_SHADES, vmin=low, vmax=high, aspect="auto")
    _tiles(axes, rows, names)
    return png(figure)


def _tiles(axes: Axes, rows: Sequence[str], names: Sequence[str]) -> None:
    """Names on top and at the left, white lines between the cells."""
    axes.set_xticks(range(len(names)), [fill(_label(name), 14) for name in names], size=9)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], size=9)
    axes.xaxis.tick_top()
    axes.get_xticklabels()[0].set_fontweight("bold")
    axes.set_xticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    axes.grid(which="minor", color="white", lw=2.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def forest(differences: pd.DataFrame, first: str) -> bytes:
    """The differences (`as_frame`) with their intervals, a panel a row of the benchmark, coloured by the verdict."""
    rows, others = (list(dict.fromkeys(differences[key])) for key in ("row", "other"))
    figure, panels = _panels(len(rows), 4, 0.85 + 0.27 * len(others))
    left, right = min(0.0, differences["difference_low"].min()), max(0.0, differences["difference_high"].max())
    margin = max(0.05, 0.06 * (right - left))
    for index, (axes, row) in enumerate(zip(panels, rows, strict=False)):
        axes.axvline(0, color=_FAINT, lw=0.8)
        for line in differences[differences["row"] == row].itertuples():
            y, colour = others.index(line.other), VERDICTS[line.verdict]
            axes.plot([line.difference_low, line.difference_high], [y, y], color=colour, lw=2, solid_capstyle="round")
            axes.plot(line.difference, y, "o", color=colour, ms=5)
        axes.set_title(_label(row), size=9.5, loc="left")
        axes.spines["left"].set_visible(False)
        axes.set_xlim(left - margin, right + margin)
        axes.set_xlabel(f"{_label(first)} minus peer", size=_SMALL)
        axes.set_ylim(len(others) - 0.5, -0.5)
        axes.set_yticks(range(len(others)), [_label(name) for name in others] if index % 4 == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e6e6e6", lw=0.6)
        axes.set_axisbelow(True)
    handles = [Line2D([], [], color=VERDICTS[word], marker="o", ms=5, lw=2, label=word) for word in VERDICTS]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=_SMALL)
    return png(figure)


def curves(points: pd.DataFrame, assistants: Sequence[str], score: Score, grows: str | None = None) -> bytes:
    """Reward over the strength of an imperfection, or over what `grows` from training to training, such as
    demonstrations: a panel a curve, a line an assistant, its interval as a band. Dots that rest on fewer than `FEW`
    training seeds are hollow."""
    low, high = axis(score, [*points["reward_low"], *points["reward_high"]])
    titles = list(dict.fromkeys(points["panel"]))
    figure, panels = _panels(len(titles), 3, 2.5)
    for axes, title in zip(panels, titles, strict=False):
        panel = points[points["panel"] == title]
        for name in reversed([name for name in assistants if name in set(panel["assistant"])]):
            _line(axes, panel[panel["assistant"] == name].sort_values("strength"), _style(name, assistants))
        axes.set_title(_label(title.removeprefix(f"{grows} on ")), size=9.5, loc="left")
        axes.set_xlabel(grows or ("dimensions held" if title == "k" else "strength"), size=_SMALL)
        _scale(axes, sorted(set(panel["strength"])))
        axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    panels[0].set_ylabel("reward, 95% band", size=_SMALL)
    shared = [name for name in assistants if name in set(points["assistant"])]
    handles = [Line2D([], [], label=_label(name), **_style(name, assistants)) for name in shared]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(shared)), frameon=False, fontsize=9)
    return png(figure)


def _line(axes: Axes, line: pd.DataFrame, style: dict[str, Any]) -> None:
    """The curve of one assistant with its band."""
    axes.plot(line["strength"], line["reward"], **style)
    axes.fill_between(line["strength"], line["reward_low"], line["reward_high"], color=style["color"], alpha=0.14, lw=0)
    few = line[line["training_seeds"].between(1, FEW - 1)]
    axes.plot(few["strength"], few["reward"], **{**style, "ls": "", "mfc": "white"})


def _scale(axes: Axes, measured: Sequence[float]) -> None:
    """A tick where something was measured; logarithmic where that goes over most of a power of ten."""
    if min(measured) > 0 and max(measured) >= 8 * min(measured):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(measured, [f"{strength:g}" for strength in measured])


def _label(name: str) -> str:
    """A name as plain text: a dollar sign would begin a formula."""
    return shown(name).replace("$", r"\$")


def _style(name: str, assistants: Sequence[str]) -> dict[str, Any]:
    """The same line for an assistant in every panel; the first one stands out, the operator alone is no assistant."""
    place = list(assistants).index(name)
    if name == NOBODY:
        return {"color": _FAINT, "lw": 1.2, "ls": (0, (4, 2))}
    colour, marker = PALETTE[place % len(PALETTE)], _MARKERS[place % len(_MARKERS)]
    return {"color": colour, "lw": 2.3 if place == 0 else 1.3, "marker": marker, "ms": 4}


def calibration(levels: pd.DataFrame) -> bytes:
    """Share of p-values at or below each level (`reliability`), a panel a set of channels; on the diagonal is best."""
    channels = list(dict.fromkeys(levels["channels"]))
    figure, panels = _panels(len(channels), 4, 2.3)
    for axes, name in zip(panels, channels, strict=False):
        line = levels[levels["channels"] == name]
        axes.fill_between(line["level"], line["low"], line["high"], color="#d9d9d9", lw=0)
        axes.plot([0, 1], [0, 1], color=_FAINT, lw=0.8, ls="--")
        axes.plot(line["level"], line["share"], color=COLOURS[0], lw=1.8)
        axes.set_title(f"{_label(name)}  (n = {line['n'].iloc[0]:,})", size=9.5, loc="left")
        axes.set_xlabel("level", size=_SMALL)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    panels[0].set_ylabel("share of p-values\nat or below it", size=_SMALL)
    return png(figure)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """So many panels of that height, at most `columns` side by side; their width fills the page."""
    columns = min(columns, count)
    lines = -(-count // columns)
    width = min(10.0, 1.4 + 3.1 * columns)
    figure = _figure(width, lines * height + 0.5)
    panels = [figure.add_subplot(lines, columns, index + 1) for index in range(count)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=_SMALL)
    return figure, panels
