"""The benchmark's result in words, made from its numbers: in both directions, and undecided where it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from eval.benchmark.contrasts import BETTER, UNDECIDED, WORSE, Contrast, pooled_contrasts, pooled_table
from eval.benchmark.summary import FEW, Cells
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
    cells: Cells, rows: Sequence[str], intent: bool, assistants: Sequence[str], contrasts: Sequence[Contrast], tasks: int
) -> Verdict | None:
    """The first of `assistants` beside the others over `rows`, those it played; None when it played none.

    `intent`: does the operator carry intent in these rows. `contrasts`: those of single rows, for the count.
    """
    first, *others = assistants
    played = [row for row in rows if (row, first) in cells]
    means = {name: _mean(cells, played, name) for name in assistants}
    complete = {name: mean for name, mean in means.items() if mean is not None}
    if first not in complete:
        return None
    pooled = pooled_contrasts(cells, played, first, others)
    ours = [contrast for contrast in contrasts if contrast.rows[0] in played]
    sentences = [_best(first, complete, played, intent, tasks), *_against(first, pooled, len(played)), *_count(ours)]
    return Verdict(" ".join([*sentences, *_few(pooled)]), [_peer(contrast, ours) for contrast in pooled])


def _mean(cells: Cells, rows: Sequence[str], name: str) -> Interval | None:
    table = pooled_table(cells, rows, name)
    return None if table is None else clustered_interval(table.to_numpy())


def _best(first: str, means: dict[str, Interval], rows: Sequence[str], intent: bool, tasks: int) -> str:
    """Who has the highest mean, and what the first assistant has."""
    top = max(mean.mean for mean in means.values())
    best = [name for name, mean in means.items() if mean.mean == top]
    where = " in which the operator carries intent" if intent else ""
    over = f"Over the {len(rows)} settings{where}" if len(rows) > 1 else f"In {rows[0]}, the one setting{where}"
    highest = f"{_and([shown(name) for name in best])} {'has' if len(best) == 1 else 'have'} the highest mean reward, {means[best[0]]}"
    rest = "" if first in best else f"; {first} has {means[first]}"
    return f"{over}, {highest} of {tasks} tasks an episode{rest}."


def _against(first: str, pooled: Sequence[Contrast], rows: int) -> list[str]:
    """One sentence: whom the first assistant beats, whom it does not, and who beats it."""
    groups = {word: [contrast for contrast in pooled if contrast.verdict == word] for word in _WORDS}
    parts = [f"{_WORDS[word]} {_and([_numbers(c, rows) for c in group])}" for word, group in groups.items() if group]
    return [f"There, {first} is {'; '.join(parts)}."] if parts else []


def _numbers(contrast: Contrast, rows: int) -> str:
    shared = "" if len(contrast.rows) == rows else f", in the {len(contrast.rows)} of {rows} settings that both played"
    return f"{shown(contrast.other)} ({signed(contrast.comparison.difference)}, {p_text(contrast.p_holm)}{shared})"


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


def _peer(pooled: Contrast, contrasts: Sequence[Contrast]) -> str:
    """A line on one peer: over all rows together, then row by row."""
    rows = {
        word: [contrast.rows[0] for contrast in contrasts if (contrast.other, contrast.verdict) == (pooled.other, word)]
        for word in _WORDS
    }
    single = "; ".join(f"{word} in {_and(names)}" for word, names in rows.items() if names)
    together = f"{pooled.verdict} over all together ({signed(pooled.comparison.difference)}, {p_text(pooled.p_holm)})"
    return f"Against {shown(pooled.other)}: {together}" + (f"; {single}." if single else ".")


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
