"""The report's words and numbers: plain rows of text from configuration, data card and summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autonomy.budget import Budget, inner
from eval.episodes import BELIEF
from eval.recognition import Course, lasting
from eval.scores import score_in, title
from eval.stats import Interval

Row = tuple[str, str]
SIZES = ("width", "depth", "components")
SETTINGS = {
    "assistant": "name",
    "environment": "env.name",
    "network width": "width",
    "network depth": "depth",
    "mixture components": "components",
    "training steps": "training.steps",
    "batch size": "training.batch_size",
    "learning rate": "training.learning_rate",
    "seed": "seed",
}


def key_settings(config: DictConfig, budget: Budget | None = None) -> list[Row]:
    """The settings that people ask for first, as far as the configuration has them, and what they cost.

    How to train is left out where nothing was: nearest neighbours have settings of a loop that they do not use.
    """
    untrained = budget is not None and not budget.steps
    keys = {text: key for text, key in SETTINGS.items() if not (untrained and key.startswith("training."))}
    found = {
        text: inner(config.assistant, key) if key in SIZES else OmegaConf.select(config, key)
        for text, key in keys.items()
    } | {"budget": budget}
    return [(text, str(value)) for text, value in found.items() if value is not None]


def label(summary: Mapping[str, Any]) -> str:
    """Words for a setting: who holds what, and who fills in the rest."""
    assistant, operator, channels = (summary[key] for key in ("assistant", "operator", "channels"))
    if channels == "none":
        return f"{assistant} alone"
    if assistant == "zero":
        return f"{operator} alone on {channels}"
    return f"{assistant} + {operator} on {channels}"


def headline(summaries: Sequence[Mapping[str, Any]]) -> str | None:
    """One sentence: shared control beside the operator alone on the same channels; None when there is no such pair."""
    for shared in summaries:
        for alone in summaries:
            pair = all(shared[key] == alone[key] for key in ("operator", "channels"))
            if pair and alone["assistant"] == "zero" and shared["assistant"] != "zero":
                ours, theirs = (Interval(**summary["reward"]) for summary in (shared, alone))
                score = title(score_in(shared))
                what = "does {} tasks an episode" if shared["tasks"] else f"has a {score} of {{}} an episode"
                return (
                    f"When the {shared['operator']} holds {shared['channels']}, it {what.format(theirs)} alone"
                    f" and {ours} with {shared['assistant']} on the other dimensions."
                )
    return None


def row(summary: Mapping[str, Any], name: str) -> dict[str, str]:
    """The cells of a setting in the table."""
    first, deviation, ms = summary["first_intended"], summary["deviation"], summary["ms"]
    improbable, right, recognised = (summary.get(key) for key in ("improbable", *BELIEF))  # older versions lack them
    return {
        "label": name,
        "n": str(summary["episodes"]),
        "reward": str(Interval(**summary["reward"])),
        "first": "-" if first is None else f"{first['mean']:.0%}",
        "deviation": "-" if deviation is None else str(Interval(**deviation)),
        "improbable": "-" if improbable is None else str(Interval(**improbable)),
        "right": "-" if right is None else f"{right['mean']:.0%}",
        "recognised": "-" if recognised is None else lasting(recognised["mean"], summary.get("period")),
        "ms": f"{ms['ms_p50']:.1f} ({ms['ms_p99']:.1f})",
        "refused": str(summary["operator_errors"]),
    }


def card_rows(card: Mapping[str, Any], top: int = 10) -> list[Row]:
    """A data card (`autonomy.data.card.Card.as_dict`) as text, with the `top` most frequent orders."""
    lengths, episodes = card["lengths"], card["episodes"]
    orders = [f"{entry['episodes']} x {', then '.join(entry['order']) or 'nothing'}" for entry in card["orders"]]
    more = [f"and {len(orders) - top} more orders"] if len(orders) > top else []
    tasks = [
        ("tasks of the environment", ", ".join(card["tasks"])),
        ("done of them", f"{card['reward']:.2f} of {len(card['tasks'])} an episode on average"),
        ("episodes that did each task", "\n".join(f"{task}: {count}" for task, count in card["completions"].items())),
        ("orders of the tasks", "\n".join([*orders[:top], *more])),
    ]
    return [
        ("source", card["source"]),
        ("episodes", f"{episodes:,}"),
        ("steps", f"{card['steps']:,}"),
        ("steps an episode", f"{lengths['min']} to {lengths['max']}, median {lengths['median']:g}"),
        *(tasks if card["tasks"] else []),
        ("actions at their limit", ", ".join(f"dim {d}: {share:.1%}" for d, share in enumerate(card["saturated"]))),
        ("content hash", card["content_hash"]),
    ]


def recognition_rows(course: Course) -> list[tuple[str, str, str]]:
    """The tasks that were pursued in an episode, how long each was, and how soon the belief gave it more than half."""
    return [
        (
            course.labels[stretch.intent],
            lasting(stretch.stop - stretch.start, course.period),
            lasting(stretch.recognised, course.period) if stretch.seen else "never",
        )
        for stretch in course.stretches
    ]
