"""A snapshot as HTML: who moves what, where the density is, what is done."""

from __future__ import annotations

import html
from collections.abc import Sequence

from eval.cockpit.insight import Insight
from eval.cockpit.logbook import NOTE, Logbook
from eval.cockpit.session import Snapshot

OPERATOR, ASSISTANT, BAND, TEXT, WRONG = "#e8590c", "#1971c2", "#a5d8ff", "#495057", "#c92a2a"
DONE, OPEN, NOTHING = "\N{CHECK MARK}", "\N{WHITE CIRCLE}", "\N{EN DASH}"
WIDTH, HEIGHT = 150, 16
_CELL = "padding:1px 6px;font-size:12px;white-space:nowrap"


def rows(snapshot: Snapshot, insight: Insight | None, labels: Sequence[str]) -> str:
    """A line for each action dimension: who moves it, both values, and the band of the assistant's density."""
    titles = ("", "moved by", "operator", "assistant", "executed and density")
    head = "".join(f'<th style="{_CELL};text-align:left">{title}</th>' for title in titles)
    lines = [_line(snapshot, insight, index, name) for index, name in enumerate(labels)]
    return f'<table style="border-collapse:collapse;color:{TEXT}"><tr>{head}</tr>{"".join(lines)}</table>'


def _line(snapshot: Snapshot, insight: Insight | None, index: int, name: str) -> str:
    held = bool(snapshot.mask[index])
    who = f'<b style="color:{OPERATOR}">operator</b>' if held else f'<b style="color:{ASSISTANT}">assistant</b>'
    operator = f"{snapshot.operator[index]:+.2f}" if held else NOTHING
    cells = (html.escape(name), who, operator, f"{snapshot.assistant[index]:+.2f}", strip(snapshot, insight, index))
    data = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr data-dim="{index}">{data}</tr>'


def strip(snapshot: Snapshot, insight: Insight | None, index: int) -> str:
    """The axis from -1 to 1: the 90% band of the density, its median, what was executed, and the assistant alone."""
    colour = OPERATOR if snapshot.mask[index] else ASSISTANT
    parts = [f'<line x1="{_x(0):.1f}" x2="{_x(0):.1f}" y1="0" y2="{HEIGHT}" stroke="#ced4da"/>']
    if insight is not None and insight.bands is not None and not snapshot.mask[index]:
        low, middle, high = (_x(float(value)) for value in insight.bands[:, index])
        parts.append(f'<rect x="{low:.1f}" width="{max(1.0, high - low):.1f}" y="4" height="8" fill="{BAND}"/>')
        parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="4" y2="12" stroke="{ASSISTANT}"/>')
    if insight is not None:
        alone = _x(float(insight.alone[index]))
        parts.append(f'<circle cx="{alone:.1f}" cy="8" r="3" fill="none" stroke="{TEXT}"/>')
    parts.append(f'<circle cx="{_x(float(snapshot.executed[index])):.1f}" cy="8" r="3.5" fill="{colour}"/>')
    return f'<svg width="{WIDTH}" height="{HEIGHT}" style="background:#f1f3f5">{"".join(parts)}</svg>'


def _x(value: float) -> float:
    return (min(max(value, -1.0), 1.0) + 1) / 2 * (WIDTH - 10) + 5


def status(snapshot: Snapshot, insight: Insight | None, tasks: Sequence[str], jitter: float, words: str) -> str:
    """Tasks, reward, time of a decision, `words`, what is wrong; and with an insight the intent score as a gauge."""
    parts = [
        " ".join(_task(task, task in snapshot.completed) for task in tasks),
        f"step {snapshot.step} of episode {snapshot.seed}, reward {round(snapshot.reward, 1):g}",
        f"{snapshot.ms:.1f} ms a decision, {1e3 * jitter:.1f} ms late (p99)",
        html.escape(words),
    ]
    if insight is not None:
        given = "state" if insight.task is None else f"state, {html.escape(insight.task)}"
        parts.insert(2, f"log p(operator | {given}) {_gauge(insight.score, int(snapshot.mask.sum()))}")
    if snapshot.problem:
        parts.append(f'<b style="color:{WRONG}">{html.escape(snapshot.problem)}</b>')
    if snapshot.walking.any():
        parts.append("Dimensions change hands: they walk to what is wanted.")
    if snapshot.ended:
        parts.append("<b>The episode is over.</b>")
    return _block("".join(f"<div>{part}</div>" for part in parts))


def message(words: str) -> str:
    """Just `words`, before there is anything else to tell."""
    return _block(html.escape(words))


def _block(content: str) -> str:
    return f'<div style="font-size:12px;color:{TEXT};padding:4px 6px">{content}</div>'


def _gauge(score: float | None, held: int) -> str:
    """From -4 to 4 nats a held dimension: an improbable command on the left."""
    if score is None:
        return NOTHING
    at = _x(score / (4 * held))
    bar = f'<rect x="0" y="5" width="{at:.1f}" height="6" fill="{ASSISTANT if at > _x(0) else WRONG}"/>'
    middle = f'<line x1="{_x(0):.1f}" x2="{_x(0):.1f}" y1="0" y2="{HEIGHT}" stroke="{TEXT}"/>'
    return f'<svg width="{WIDTH}" height="{HEIGHT}" style="background:#f1f3f5">{bar}{middle}</svg> {score:.1f} nats'


def summary(logbook: Logbook, saved: Sequence[str]) -> str:
    """The entries as a table, what its columns mean, and the ids of the recordings."""
    titles, *lines = logbook.table()
    cell = f'style="{_CELL}"'
    head = "".join(f"<th {cell}>{html.escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td {cell}>{html.escape(text)}</td>' for text in line)}</tr>" for line in lines)
    recorded = "".join(f"<div>recorded: {html.escape(name)}</div>" for name in saved)
    return _block(f"<table><tr>{head}</tr>{body}</table><p>{html.escape(NOTE)}</p>{recorded}")


def _task(name: str, done: bool) -> str:
    colour, sign = ("#2b8a3e", DONE) if done else (TEXT, OPEN)
    return f'<span style="margin-right:8px;color:{colour}">{sign} {html.escape(name)}</span>'
