"""`python -m autonomy.data data=...` prints the card of a data source."""

from __future__ import annotations

from omegaconf import DictConfig

from autonomy.cli import main
from autonomy.data.card import Card
from autonomy.data.load import demonstrations_of


@main("data")
def run(cfg: DictConfig) -> None:
    """Load the demonstrations that the configuration names and print their card."""
    print(Card.of(demonstrations_of(cfg)).text())


if __name__ == "__main__":
    run()
