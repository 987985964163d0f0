"""Decomposition protocols: the exact training law, its samplers, and the paths that answer queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autonomy.density.lattice import codes, subsets
from autonomy.density.masks import CardinalityMasks, FixedMasks, MaskLaw, MixtureMasks
from autonomy.density.protocols import (
    WEIGHTINGS,
    AnyOrderProtocol,
    CompletionProtocol,
    DecompositionProtocol,
    MarginalProtocol,
    MixtureProtocol,
)
from autonomy.types import UserError
from eval.speed.listing import STRATEGIES, published_masks
from tests.laws import ALARM, generator, p_value, p_value_of

DRAWS = 1_000_000
ORDERS = ["natural", "reversed", [2, 0, 4, 1, 3]]
MASKS: dict[str, MaskLaw] = {
    "the paper's": CardinalityMasks(5, 1),
    "with none": CardinalityMasks(5, 0, 4),
    "fixed": FixedMasks([[0, 3], [1, 2, 4], [4]], 5, [1.0, 2.0, 3.0]),
    "mixture": MixtureMasks([CardinalityMasks(5, 1, 2), FixedMasks([[0, 1, 2, 3, 4], [3]], 5)], [1.0, 2.0]),
}
PATHS: dict[str, type[MarginalProtocol] | type[CompletionProtocol]] = {
    "marginal": MarginalProtocol,
    "completion": CompletionProtocol,
}


def listed(order: str | list[int], dim: int = 5) -> list[int]:
    return {"natural": list(range(dim)), "reversed": list(range(dim))[::-1]}[order] if isinstance(order, str) else order


def path(kind: str, mask: tuple[bool, ...], order: list[int]) -> list[tuple[frozenset[int], int]]:
    """The steps (node, next dimension) of a mask, by the definition."""
    members = [d for d in order if mask[d]]
    others = [d for d in order if not mask[d]]
    first, walk = ([], members) if kind == "marginal" else (members, others)
    return [(frozenset([*first, *walk[:step]]), walk[step]) for step in range(len(walk))]


def law_of_steps(
    kind: str, masks: MaskLaw, order: list[int], weighting: str
) -> dict[tuple[frozenset[int], int], float]:
    """P(node, next), written down from M and the weighting by a loop over masks and steps."""
    law: Counter[tuple[frozenset[int], int]] = Counter()
    for mask, mass in zip(subsets(masks.dim).tolist(), masks.law().tolist(), strict=True):
        steps = path(kind, tuple(mask), order)
        for j, (node, following) in enumerate(steps):
            weight = {
                "query": 1 / len(steps),
                "cardinality": (len(node) + 1) / len(steps),
                "step": 1.0,
                "early": len(steps) - j,
            }[weighting]
            law[node, following] += mass * weight  # type: ignore[assignment]
    total = sum(law.values())
    return {step: mass / total for step, mass in law.items() if mass}


def table_of(law: dict[tuple[frozenset[int], int], float], dim: int) -> Tensor:
    table = torch.zeros(2**dim, dtype=torch.float64)
    for (node, _), mass in law.items():
        table[sum(2**d for d in node)] += mass
    return table


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("kind", PATHS)
def test_the_law_is_the_definition_and_the_samples_follow_it(
    kind: str, masks: str, order: str | list[int], weighting: str
) -> None:
    protocol = PATHS[kind](MASKS[masks], order, weighting)
    law = law_of_steps(kind, MASKS[masks], listed(order), weighting)
    torch.testing.assert_close(protocol.law(), table_of(law, 5))
    known, following = protocol.sample(100_000, generator())
    assert p_value(known, protocol.law()) > ALARM
    both = codes(known) * 5 + following.long().argmax(1)
    expected = torch.zeros(32 * 5, dtype=torch.float64)
    for (node, dim), mass in law.items():
        expected[sum(2**d for d in node) * 5 + dim] = mass
    assert (following.sum(1) == 1).all()
    assert p_value_of(torch.bincount(both, minlength=160), expected) > ALARM


@pytest.mark.parametrize("dim", [9, 12])
@pytest.mark.parametrize("kind", [*PATHS, "any-order"])
def test_a_million_samples_of_many_dimensions_follow_the_law(kind: str, dim: int) -> None:
    masks = CardinalityMasks(dim, *((1,) if kind == "marginal" else ()))
    protocol = AnyOrderProtocol(dim) if kind == "any-order" else PATHS[kind](masks, "natural", "cardinality")
    assert p_value(protocol.sample(DRAWS, generator()).known, protocol.law()) > ALARM


@pytest.mark.parametrize("reweighted", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_published_listing_has_the_same_frequencies(strategy: str, reweighted: bool) -> None:
    """What the authors' code draws is drawn from our closed forms, with and without cardinality reweighting."""
    weighting, dim = "cardinality" if reweighted else "query", 6
    builders: dict[str, Callable[[], DecompositionProtocol]] = {
        "any-order": lambda: AnyOrderProtocol(dim, "natural", weighting),
        "marginal": lambda: MarginalProtocol(CardinalityMasks(dim, 1), "natural", weighting),
        "completion": lambda: CompletionProtocol(CardinalityMasks(dim, 0, dim - 1), "natural", weighting),
    }
    drawing = generator()
    masks = torch.cat([published_masks(2000, dim, strategy, reweighted, drawing) for _ in range(20)])
    assert p_value(masks, builders[strategy]().law()) > ALARM
    other = AnyOrderProtocol(dim) if strategy != "any-order" else MarginalProtocol(CardinalityMasks(dim, 1))
    counts = torch.bincount(codes(masks), minlength=2**dim)
    inside = other.law() > 0
    assert counts[~inside].sum() > 0 or p_value_of(counts, other.law()) < 1e-9


def test_the_closed_form_of_the_reweighted_marginal_law() -> None:
    """P(t) proportional to t + 1 and P(k | t) to k + 1: the k smallest of a uniform t-subset."""
    dim, table = 7, torch.zeros(2**7, dtype=torch.float64)
    for t in range(1, dim + 1):
        subsets_of_size = list(combinations(range(dim), t))
        for members, k in product(subsets_of_size, range(t)):
            share = (t + 1) / len(subsets_of_size) * 2 * (k + 1) / (t * (t + 1))
            table[sum(2**d for d in members[:k])] += share
    protocol = MarginalProtocol(CardinalityMasks(dim, 1), "natural", "cardinality")
    torch.testing.assert_close(protocol.law(), table / table.sum())


@settings(max_examples=50, deadline=None)
@given(
    kind=st.sampled_from(sorted(PATHS)),
    lists=st.lists(st.lists(st.integers(0, 4), max_size=4, unique=True), min_size=1, max_size=4),
    order=st.permutations(range(5)),
    weighting=st.sampled_from(WEIGHTINGS),
)
def test_the_nodes_that_training_visits_are_those_with_mass(
    kind: str, lists: list[list[int]], order: list[int], weighting: str
) -> None:
    masks = MixtureMasks([FixedMasks(lists, 5), CardinalityMasks(5, 2, 3)], [2.0, 1.0])
    for law in (FixedMasks([*lists, [0]], 5), masks):
        protocol = PATHS[kind](law, order, weighting)
        assert torch.equal(protocol.trains(subsets(5)), protocol.law() > 0)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_any_order_trains_every_edge(weighting: str) -> None:
    protocol = AnyOrderProtocol(4, weighting=weighting)
    sizes = subsets(4).sum(1)
    ways = torch.tensor([1, 4, 6, 4, 1])[sizes]
    tilts = {"cardinality": sizes + 1, "early": 4 - sizes}
    weight = (sizes < 4) * tilts.get(weighting, torch.ones_like(sizes)) / ways
    torch.testing.assert_close(protocol.law(), weight.double() / weight.double().sum())
    assert torch.equal(protocol.trains(subsets(4)), sizes < 4)
    known, following = protocol.sample(100_000, generator())
    edges = codes(known) * 4 + following.long().argmax(1)
    missing = ~subsets(4)
    expected = (protocol.law()[:, None] * missing / missing.sum(1, keepdim=True).clamp(min=1)).flatten()
    assert p_value_of(torch.bincount(edges, minlength=64), expected) > ALARM


def test_a_mixture_of_protocols_has_its_shares() -> None:
    parts = [AnyOrderProtocol(5), MarginalProtocol(CardinalityMasks(5, 1))]
    protocol = MixtureProtocol(parts, [1.0, 3.0])
    torch.testing.assert_close(protocol.law(), (parts[0].law() + 3 * parts[1].law()) / 4)
    assert p_value(protocol.sample(100_000, generator()).known, protocol.law()) > ALARM
    assert torch.equal(protocol.trains(subsets(5)), parts[0].trains(subsets(5)))


def sets(masks: Tensor) -> list[set[int]]:
    return [{d for d, held in enumerate(row) if held} for row in masks.tolist()]


def test_a_marginal_conditional_is_the_joint_less_the_marginal_without_the_steps_they_share() -> None:
    query, evidence = torch.tensor([[0, 0, 1, 0, 1]]).bool(), torch.tensor([[1, 0, 0, 1, 0]]).bool()
    joint, given = MarginalProtocol(CardinalityMasks(5, 1)).chains(query, evidence)
    assert (joint.sign, given.sign) == (1, -1)
    assert sets(joint.added) == [{0, 2, 3, 4}]
    assert sets(joint.counted) == [{2, 3, 4}]
    assert sets(given.added) == [{0, 3}]
    assert sets(given.counted) == [{3}]
    assert not joint.start.any()


@pytest.mark.parametrize(
    "protocol", [AnyOrderProtocol(5), CompletionProtocol(CardinalityMasks(5))], ids=["any", "completion"]
)
def test_others_walk_from_the_evidence(protocol: DecompositionProtocol) -> None:
    query, evidence = torch.tensor([[0, 0, 1, 0, 1]]).bool(), torch.tensor([[1, 0, 0, 1, 0]]).bool()
    (chain,) = protocol.chains(query, evidence)
    assert torch.equal(chain.start, evidence)
    assert torch.equal(chain.added, query)
    assert torch.equal(chain.counted, query)


def test_masks_without_a_step_are_refused() -> None:
    with pytest.raises(UserError, match="leave at least one dimension to the assistant"):
        CompletionProtocol(FixedMasks([[0, 1, 2]], 3))
    with pytest.raises(UserError, match="choose ones with at least one member"):
        MarginalProtocol(FixedMasks([[]], 3))
    with pytest.raises(UserError, match="unknown weighting 'often'; the valid ones are query, cardinality, step, e"):
        CompletionProtocol(CardinalityMasks(3), weighting="often")
    with pytest.raises(UserError, match="1 protocols need as many positive weights"):
        MixtureProtocol([AnyOrderProtocol(3)], [0.0])
    with pytest.raises(UserError, match=r"protocols of different widths: \[3, 4\]"):
        MixtureProtocol([AnyOrderProtocol(3), AnyOrderProtocol(4)])


def test_masks_that_seldom_leave_a_step_cost_no_rejections() -> None:
    masks = FixedMasks([[0, 1, 2], [0, 1]], 3, [1e9, 1.0])
    assert sets(CompletionProtocol(masks).sample(50, generator()).known) == [{0, 1}] * 50


def test_ten_thousand_dimensions_are_sampled_on_the_generator_s_device() -> None:
    known, following = MarginalProtocol(CardinalityMasks(10_000, 1), weighting="cardinality").sample(4, generator())
    assert known.shape == (4, 10_000)
    assert (following.sum(1) == 1).all()
    last = torch.where(known, torch.arange(10_000), -1).amax(1)
    assert (following.long().argmax(1) > last).all()


def test_steps_come_from_the_generator_alone() -> None:
    protocol = CompletionProtocol(CardinalityMasks(4))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draws = [protocol.sample(100, generator(seed)).known for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])
    assert torch.equal(torch.get_rng_state(), before)
