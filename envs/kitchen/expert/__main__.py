"""`python -m envs.kitchen.expert`: the expert's success table; with `--video FILE`, a film of one episode instead."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from autonomy.types import UserError


def _count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def _share(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, got {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m envs.kitchen.expert", description=__doc__)
    parser.add_argument("--episodes", type=_count, default=50, help="perturbed episodes of each single task")
    parser.add_argument("--order-episodes", type=_count, default=3, help="of each of the 24 orders of the four tasks")
    parser.add_argument("--seed", type=_seed, default=0, help="seed of the first episode")
    parser.add_argument("--processes", type=_count, default=None, help="default: all cores")
    parser.add_argument("--speed", type=_share, default=1.0, help="scale of the speed caps (demonstrations: 0.6)")
    parser.add_argument("--smooth", type=_share, default=0.0, help="weight of the last action (demonstrations: 0.3)")
    parser.add_argument("--jitter", type=_share, default=0.3, help="random variation of the movements")
    parser.add_argument("--video", type=Path, metavar="FILE", help="film one episode (.mp4 or .gif) instead")
    return parser


def _film(path: Path, seed: int, speed: float, smooth: float, jitter: float) -> None:
    from envs.rendering import rendering_problem

    problem = rendering_problem()
    if problem is not None:
        print(problem)
        return
    from envs.kitchen.expert.film import film
    from envs.kitchen.expert.measure import Style

    film(path, seed, Style(speed, smooth, jitter))
    print(f"video: {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program's exit status: 0, or 2 after a person's mistake (one sentence on stderr)."""
    options = _parser().parse_args(arguments)
    try:
        if options.video is not None:
            _film(options.video, options.seed, options.speed, options.smooth, options.jitter)
            return 0
        from envs.kitchen.expert.measure import Style, measure, plan, table

        style = Style(options.speed, options.smooth, options.jitter)
        trials = plan(options.episodes, options.order_episodes, options.seed, style)
        print(table(*measure(trials, options.processes), trials))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
