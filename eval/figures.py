"""Figures of the report, as PNG bytes. Drawn off screen: no window, no pyplot state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f")
"""The assistant alone blue and the operator alone orange, as in the video."""
_WIDTH, _DPI = 5.6, 170
"""Inches and dots an inch: narrow, so that the letters can be read on a telephone, and fine, for large screens."""


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure of that height, in inches."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The drawn figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def learning_curve(metrics: Sequence[Mapping[str, Any]]) -> bytes:
    """Training and validation loss over the steps of metrics.jsonl; a cross on the best validation loss."""
    figure, axes = canvas(2.8)
    for key, label in (("train_loss", "training"), ("validation_loss", "validation")):
        points = [(record["step"], record[key]) for record in metrics if record.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label)
        if points and key == "validation_loss":
            axes.plot(*min(points, key=lambda point: point[1]), "kx", label="lowest validation loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    return png(figure)


def task_bars(summaries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> bytes:
    """Share of the episodes that completed each task, a group of bars per task and a colour per setting."""
    figure, axes = canvas(3.4)
    tasks = list(summaries[0]["tasks"])
    width = 0.8 / len(summaries)
    for index, (summary, label) in enumerate(zip(summaries, labels, strict=True)):
        places = np.arange(len(tasks)) + (index - (len(summaries) - 1) / 2) * width
        shares = [100 * summary["tasks"][task] for task in tasks]
        axes.bar(places, shares, 0.92 * width, label=label, color=COLOURS[index % len(COLOURS)])
    axes.set_xticks(range(len(tasks)), [task.replace(" ", "\n") for task in tasks])
    axes.set_ylim(0, 100)
    axes.set_ylabel("episodes that did the task, %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return png(figure)


def reward_bars(summaries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> bytes:
    """Mean reward of each setting with its 95% interval."""
    figure, axes = canvas(0.6 + 0.42 * len(summaries))
    for index, summary in enumerate(summaries):
        reward = summary["reward"]
        error = [[max(0.0, reward["mean"] - reward["low"])], [max(0.0, reward["high"] - reward["mean"])]]
        axes.barh(index, reward["mean"], xerr=error, color=COLOURS[index % len(COLOURS)], height=0.6, capsize=3)
        axes.annotate(f"{reward['mean']:.2f}", (reward["high"], index), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(summaries)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * len(summaries[0]["tasks"]))
    axes.set_xticks(range(len(summaries[0]["tasks"]) + 1))
    axes.set_xlabel("tasks done an episode, with 95% interval")
    return png(figure)


def reliability(ranks: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Share of the ranks that are at most u over u, a line for each entry; calibrated ones are on the diagonal."""
    figure, axes = canvas(4.2)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
    for index, (name, values) in enumerate(ranks.items()):
        axes.ecdf(values, label=name, color=COLOURS[index % len(COLOURS)])
    axes.set_xlim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("u")
    axes.set_ylabel("share of the ranks that are at most u")
    axes.legend(frameon=False, fontsize="small")
    return png(figure)
