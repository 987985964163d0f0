"""`python -m autonomy.data data=...` prints the card of a data source."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig

from autonomy.cli import main
from autonomy.data.card import Card


@main("data")
def run(cfg: DictConfig) -> None:
    """Load the demonstrations that the configuration names and print their card."""
    print(Card.of(instantiate(cfg.data).load()).text())


if __name__ == "__main__":
    run()
