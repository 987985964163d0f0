"""What the labels of demonstrations say: how much is labelled, how long intents last, which follows which."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import Any

import numpy as np

from autonomy.data.labels import Stretch, stretches
from autonomy.types import Demonstrations

NO_INTENTS = (
    "intents       none: with labels of what each step is for, an assistant can work out what the operator is after"
)


@dataclasses.dataclass(frozen=True)
class IntentFacts:
    """Facts about labels. `share`: of all steps, those labelled with an intent, not with none of them.

    `unlabelled`: episodes without labels. `lengths`: intent -> how many stretches of it there are, and their median
    length in steps. `follows`: (an intent, the next one in the same episode, how often), the most frequent first; steps
    that are for none of them do not count as one.
    """

    share: float
    unlabelled: int
    lengths: dict[str, tuple[int, float]]
    follows: tuple[tuple[str, str, int], ...]

    @classmethod
    def of(cls, demonstrations: Demonstrations) -> IntentFacts:
        """The facts about labels that have names."""
        runs = [_meant(stretches(e.intents)) for e in demonstrations if e.intents is not None]
        names = demonstrations.intents
        lengths = [
            [stretch.length for run in runs for stretch in run if stretch.intent == i] for i in range(len(names))
        ]
        pairs = Counter((names[a.intent], names[b.intent]) for run in runs for a, b in itertools.pairwise(run))
        return cls(
            share=sum(map(sum, lengths)) / demonstrations.steps,
            unlabelled=len(demonstrations) - len(runs),
            lengths={
                name: (len(own), float(np.median(own)) if own else 0.0)
                for name, own in zip(names, lengths, strict=True)
            },
            follows=tuple((a, b, n) for (a, b), n in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))),
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values that JSON can hold."""
        return {
            "share": self.share,
            "unlabelled": self.unlabelled,
            "lengths": {name: {"stretches": n, "median": median} for name, (n, median) in self.lengths.items()},
            "follows": [{"intent": a, "next": b, "times": n} for a, b, n in self.follows],
        }

    def lines(self, top: int) -> list[str]:
        """The facts for a terminal, with the `top` most frequent successions."""
        without = f", {self.unlabelled} episodes have no labels" if self.unlabelled else ""
        more = [f"         and {len(self.follows) - top} more"] if len(self.follows) > top else []
        return [
            f"intents       {self.share:.1%} of the steps have one{without}",
            "              stretches and their median length in steps",
            *(f"  {name:<14}{n:>5}  {median:g}" for name, (n, median) in self.lengths.items()),
            "follows       times",
            *(f"  {n:>5}  {a} -> {b}" for a, b, n in self.follows[:top]),
            *more,
        ]


def _meant(stretches: list[Stretch]) -> list[Stretch]:
    return [stretch for stretch in stretches if stretch.intent >= 0]
