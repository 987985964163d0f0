"""The benchmark's result in words, made from its numbers: in both directions, and undecided where it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from envs.world import Score
from eval.benchmark.contrasts import BETTER, UNDECIDED, WORSE, Contrast, pooled_contrasts, pooled_table
from eval.benchmark.summary import FEW, Cells
from eval.scores import amount, bounded
from eval.stats import Interval, clustered_interval

NOBODY = "nobody"
_WORDS = {
    BETTER: "significantly better than",
    WORSE: "significantly worse than",
    UNDECIDED: "not distinguishable from",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the table says: a paragraph, and a line a peer."""

    headline: str
    peers: list[str]


def verdict(
    cells: Cells,
    rows: Sequence[str],
    intent: bool,
    assistants: Sequence[str],
    contrasts: Sequence[Contrast],
    score: Score,
) -> Verdict | None:
    """The first of `assistants` beside the others over `rows`, those it played; None when it played none.

    `intent`: does the operator carry intent in these rows. `contrasts`: those of single rows, for the count.
    """
    first, *others = assistants
    played = [row for row in rows if (row, first) in cells]
    means = {name: _mean(cells, played, name, score) for name in assistants}
    complete = {name: mean for name, mean in means.items() if mean is not None}
    if first not in complete:
        return None
    pooled = pooled_contrasts(cells, played, first, others)
    ours = [contrast for contrast in contrasts if contrast.rows[0] in played]
    sentences = [
        _best(first, complete, played, intent, score),
        *_rival(first, complete, pooled),
        *_against(first, pooled),
        *_count(ours),
        *_few(pooled),
    ]
    return Verdict(" ".join(sentences), [_peer(contrast, ours, len(played)) for contrast in pooled])


def _mean(cells: Cells, rows: Sequence[str], name: str, score: Score) -> Interval | None:
    table = pooled_table(cells, rows, name)
    return None if table is None else bounded(clustered_interval(table.to_numpy()), score)


def _best(first: str, means: dict[str, Interval], rows: Sequence[str], intent: bool, score: Score) -> str:
    """Who has the highest mean, and what the first assistant has."""
    top = max(mean.mean for mean in means.values())
    best = [name for name, mean in means.items() if mean.mean == top]
    where = " in which the operator carries intent" if intent else ""
    over = f"Over the {len(rows)} settings{where}" if len(rows) > 1 else f"In {rows[0]}, the one setting{where}"
    whose = f"{_and([shown(name) for name in best])} {'has' if len(best) == 1 else 'have'}"
    rest = "" if first in best else f"; {first} has {means[first]}"
    return f"{over}, {whose} the highest mean reward, {means[best[0]]} {amount(score)}{rest}."


def _rival(first: str, means: dict[str, Interval], pooled: Sequence[Contrast]) -> list[str]:
    """One sentence: the first assistant beside the best of the others."""
    rivals = [contrast for contrast in pooled if contrast.other in means]
    if not rivals:
        return []
    best = max(rivals, key=lambda contrast: means[contrast.other].mean)
    return [f"{first} minus {shown(best.other)}, the best of the others, is {_numbers(best)}."]


def _against(first: str, pooled: Sequence[Contrast]) -> list[str]:
    """One sentence: whom the first assistant beats, whom it does not, and who beats it."""
    groups = {word: [shown(contrast.other) for contrast in pooled if contrast.verdict == word] for word in _WORDS}
    parts = [f"{_WORDS[word]} {_and(names)}" for word, names in groups.items() if names]
    return [f"There, {first} is {'; '.join(parts)}."] if parts else []


def _numbers(contrast: Contrast) -> str:
    return f"{signed(contrast.comparison.difference)}, {p_text(contrast.p_holm)}"


def _count(contrasts: Sequence[Contrast]) -> list[str]:
    """One sentence: how the comparisons in single rows came out."""
    total = len(contrasts)
    better, worse, undecided = (sum(c.verdict == word for c in contrasts) for word in (BETTER, WORSE, UNDECIDED))
    counts = f"{better} come out better, {worse} worse and {undecided} not distinguishable"
    return [f"Of the {total} comparisons in single settings {counts}."] if total else []


def _few(pooled: Sequence[Contrast]) -> list[str]:
    """A warning where the training seeds are too few to tell training apart from luck."""
    fewest = min((contrast.training_seeds for contrast in pooled), default=FEW)
    return [f"Caution: some of it rests on {seeds_text(fewest)} only."] if fewest < FEW else []


def seeds_text(count: int) -> str:
    """So many training seeds, in words."""
    return f"{count} training seed{'' if count == 1 else 's'}" if count else "no training"


def _peer(pooled: Contrast, contrasts: Sequence[Contrast], settings: int) -> str:
    """A line on one peer: over all settings together, then in single ones."""
    alone = [contrast for contrast in contrasts if contrast.other == pooled.other]
    decided = {word: [c.rows[0] for c in alone if c.verdict == word] for word in (BETTER, WORSE)}
    parts = [f"{word} in {_and(names)}" for word, names in decided.items() if names]
    if sum(map(len, decided.values())) < len(alone):
        parts.append(f"{UNDECIDED} in {'the others' if parts else 'any single one'}")
    count = len(pooled.rows)
    shared = "all settings" if count == settings else f"the {count} settings that both played"
    over = f"over {shared} together" if count > 1 else f"in {pooled.rows[0]}"
    together = f"{pooled.verdict} {over} ({_numbers(pooled)})"
    return f"Against {shown(pooled.other)}: {'; '.join([together, *(parts if len(alone) > 1 else [])])}."


def shown(assistant: str) -> str:
    """What readers see for an assistant's name in the table."""
    return "the operator alone" if assistant == NOBODY else assistant


def signed(interval: Interval) -> str:
    """A difference with its interval."""
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def p_text(p: float) -> str:
    """A p-value as people write it."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
