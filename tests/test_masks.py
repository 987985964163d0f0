"""Query distributions: each law against its exact probabilities, by chi-square on fixed generators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.density.masks import CardinalityMasks, ChannelMasks, MaskLaw, MixtureMasks

ALARM = 1e-4
"""False alarms of a right law; the wrong laws below stay under 1e-9."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def subset_counts(masks: Tensor) -> list[int]:
    """How often each of the 2^D subsets came up, in the order of `product((0, 1), repeat=D)`."""
    dim = masks.shape[1]
    return torch.bincount(masks.long() @ (2 ** torch.arange(dim).flip(0)), minlength=2**dim).tolist()


def p_value(masks: Tensor, law: Sequence[float]) -> float:
    """Of the subsets' counts under `law`; what the law excludes must not have been drawn."""
    counts, expected = np.array(subset_counts(masks)), np.array(law) * len(masks)
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    return float(chisquare(counts[possible], expected[possible]).pvalue) if possible.sum() > 1 else 1.0


def cardinality_law(dim: int, low: int, high: int) -> list[float]:
    sizes = [sum(subset) for subset in product((0, 1), repeat=dim)]
    return [(low <= t <= high) / (high - low + 1) / comb(dim, t) for t in sizes]


@pytest.mark.parametrize(("low", "high"), [(0, 5), (1, 5), (0, 4), (2, 3), (5, 5)])
def test_cardinality_masks_follow_their_law(low: int, high: int) -> None:
    masks = CardinalityMasks(5, low, high).sample(40_000, generator())
    assert masks.shape == (40_000, 5)
    assert masks.dtype == torch.bool
    assert p_value(masks, cardinality_law(5, low, high)) > ALARM


def test_the_default_cardinalities_are_all() -> None:
    masks = CardinalityMasks(4).sample(40_000, generator())
    assert p_value(masks, cardinality_law(4, 0, 4)) > ALARM
    assert p_value(masks, [1 / 16] * 16) < 1e-9


@pytest.mark.parametrize(("low", "high"), [(-1, 2), (3, 2), (0, 5)])
def test_impossible_cardinalities_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=r"0 <= low <= high <= 4"):
        CardinalityMasks(4, low, high)


def test_channel_masks_hold_what_the_channels_hold() -> None:
    fixed = ChannelMasks(4, FixedChannels([0, 2], 4)).sample(7, generator())
    assert fixed.dtype == torch.bool
    assert fixed.tolist() == [[True, False, True, False]] * 7
    drawn = ChannelMasks(4, RandomChannels(2, 4)).sample(12_000, generator())
    law = [(sum(subset) == 2) / 6 for subset in product((0, 1), repeat=4)]
    assert p_value(drawn, law) > ALARM


def test_a_mixture_has_its_shares() -> None:
    parts = [CardinalityMasks(4, 1, 1), ChannelMasks(4, FixedChannels([0, 1, 2], 4)), CardinalityMasks(4)]
    masks = MixtureMasks(parts, [3.0, 1.0, 4.0]).sample(40_000, generator())
    fixed = [float(subset == (1, 1, 1, 0)) for subset in product((0, 1), repeat=4)]
    first, last = cardinality_law(4, 1, 1), cardinality_law(4, 0, 4)
    law = [(3 * a + b + 4 * c) / 8 for a, b, c in zip(first, fixed, last, strict=True)]
    assert p_value(masks, law) > ALARM


def test_a_mixture_without_weights_has_equal_shares() -> None:
    masks = MixtureMasks([CardinalityMasks(3, 0, 0), CardinalityMasks(3, 3, 3)]).sample(10_000, generator())
    assert p_value(masks, [0.5, *[0.0] * 6, 0.5]) > ALARM


def test_a_mixture_draws_rows_in_random_order() -> None:
    full = MixtureMasks([CardinalityMasks(2, 0, 0), CardinalityMasks(2, 2, 2)]).sample(1000, generator())[:, 0]
    changes = (full[1:] != full[:-1]).sum()
    assert 400 < changes < 600


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_a_mixture_refuses_weights_that_do_not_fit(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="2 mask laws need as many positive weights"):
        MixtureMasks([CardinalityMasks(2), CardinalityMasks(2)], weights)


def test_a_mixture_refuses_no_laws_and_laws_of_different_widths() -> None:
    with pytest.raises(ValueError, match="0 mask laws"):
        MixtureMasks([])
    with pytest.raises(ValueError, match=r"different widths: \[2, 3\]"):
        MixtureMasks([CardinalityMasks(2), CardinalityMasks(3)])


@pytest.mark.parametrize(
    "law",
    [
        CardinalityMasks(6),
        ChannelMasks(6, RandomChannels(3, 6)),
        MixtureMasks([CardinalityMasks(6), ChannelMasks(6, RandomChannels(2, 6))]),
    ],
    ids=["cardinality", "channels", "mixture"],
)
def test_masks_come_from_the_generator_alone(law: MaskLaw) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    drawing = generator(1)
    first, second = law.sample(50, drawing), law.sample(50, drawing)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, law.sample(50, generator(1)))
    assert not torch.equal(first, second)
    assert law.sample(0, drawing).shape == (0, 6)


def test_mixtures_nest() -> None:
    """The inner law is often asked for no rows at all."""
    inner = MixtureMasks([CardinalityMasks(2, 0, 0), CardinalityMasks(2, 1, 1)])
    law, drawing = MixtureMasks([inner, CardinalityMasks(2, 2, 2)], [1.0, 3.0]), generator()
    masks = torch.cat([law.sample(1, drawing) for _ in range(2000)])
    assert p_value(masks, [1 / 8, 1 / 16, 1 / 16, 3 / 4]) > ALARM
