"""The completion protocol: what is trained is what completing visits, as often."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import comb

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from torch.distributions import MixtureSameFamily

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, ChannelMasks, MaskLaw, MixtureMasks
from autonomy.density.protocols import CompletionProtocol, ascending_prefix, first
from autonomy.types import UserError

Node = tuple[bool, ...]

ALARM = 1e-4
"""False alarms of a right law; the wrong law below stays under 1e-9."""


def law_of_nodes(law_of_evidence: dict[Node, float]) -> dict[Node, float]:
    """P(node) under P(e, k) proportional to M(e) 1[k < m(e)], node = e + the k smallest missing, by enumeration."""
    nodes: Counter[Node] = Counter()
    for evidence, mass in law_of_evidence.items():
        node = list(evidence)
        for index in [i for i, held in enumerate(evidence) if not held]:
            nodes[tuple(node)] += mass  # type: ignore[assignment]
            node[index] = True
    total = sum(nodes.values())
    return {node: mass / total for node, mass in nodes.items() if mass}


def cardinality_law(dim: int) -> dict[Node, float]:
    return {e: 1 / (dim + 1) / comb(dim, sum(e)) for e in product((False, True), repeat=dim)}


def draw(masks: MaskLaw, n: int, seed: int = 0) -> Counter[Node]:
    nodes = CompletionProtocol(masks).sample(n, torch.Generator().manual_seed(seed))
    assert nodes.dtype == torch.bool
    assert nodes.shape == (n, masks.dim)
    return Counter(map(tuple, nodes.tolist()))


def p_value(counts: Counter[Node], law: dict[Node, float]) -> float:
    assert set(counts) <= set(law)
    n = counts.total()
    if len(law) == 1:
        return 1.0
    return float(chisquare([counts[node] for node in law], [n * mass for mass in law.values()]).pvalue)


class Recording(MAC):
    """Remembers the nodes that still had something missing when they were asked for."""

    def __init__(self, masks: MaskLaw) -> None:
        super().__init__(masks.dim, 1, CompletionProtocol(masks), width=4, depth=2, components=1)
        self.visited: Counter[Node] = Counter()

    def conditionals(self, x: Tensor, evidence: Tensor, context: Tensor) -> MixtureSameFamily:
        self.visited.update(tuple(node) for node in evidence.tolist() if not all(node))
        return super().conditionals(x, evidence, context)


def visited(masks: MaskLaw, evidence: Tensor) -> Counter[Node]:
    model = Recording(masks)
    model.complete(torch.zeros(evidence.shape), evidence, torch.zeros(len(evidence), 1), "mean")
    return model.visited


def test_the_first_missing_and_the_prefix() -> None:
    missing = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    assert first(missing).int().tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    prefix = ascending_prefix(missing, torch.tensor([2, 3, 4]))
    assert prefix.int().tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 0]]
    assert not ascending_prefix(missing, torch.zeros(3, dtype=torch.long)).any()
    assert torch.equal(ascending_prefix(missing, torch.full((3,), 9)), missing)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_nodes_of_cardinality_masks_follow_the_exact_law(dim: int) -> None:
    assert p_value(draw(CardinalityMasks(dim), 40_000), law_of_nodes(cardinality_law(dim))) > ALARM


def test_steps_are_weighted_not_evidence() -> None:
    """Drawing e and then k ~ U{0..m-1} is another law, and the test can tell."""
    wrong: Counter[Node] = Counter()
    for evidence, mass in cardinality_law(3).items():
        for node, share in law_of_nodes({evidence: 1.0}).items():
            wrong[node] += mass * share  # type: ignore[assignment]
    total = sum(wrong.values())
    assert p_value(draw(CardinalityMasks(3), 40_000), {node: mass / total for node, mass in wrong.items()}) < 1e-9


def test_nodes_of_a_mixture_follow_the_exact_law() -> None:
    masks = MixtureMasks([ChannelMasks(4, FixedChannels([1], 4)), ChannelMasks(4, RandomChannels(3, 4))], [1.0, 3.0])
    law = {e: 0.75 * (sum(e) == 3) / 4 for e in product((False, True), repeat=4)}
    law[(False, True, False, False)] = 0.25
    assert p_value(draw(masks, 40_000), law_of_nodes(law)) > ALARM


def test_the_nodes_trained_are_those_that_completing_visits() -> None:
    evidence = torch.tensor(list(product((False, True), repeat=5)))
    walked = visited(CardinalityMasks(5), evidence)
    assert set(draw(CardinalityMasks(5), 40_000)) == set(walked)
    assert len(walked) == 31


@pytest.mark.parametrize("dims", [[], [2], [4], [0, 3], [0, 1, 2, 3]])
def test_a_fixed_operator_trains_its_path_and_nothing_else(dims: list[int]) -> None:
    masks = ChannelMasks(5, FixedChannels(dims, 5))
    walked = visited(masks, masks.sample(1, torch.Generator().manual_seed(0)))
    assert set(walked.values()) == {1}
    counts = draw(masks, 4000)
    assert set(counts) == set(walked)
    assert p_value(counts, dict.fromkeys(walked, 1 / len(walked))) > ALARM


def test_nodes_are_as_frequent_in_training_as_in_completing() -> None:
    masks = ChannelMasks(5, RandomChannels(2, 5))
    queries = torch.tensor([e for e in product((False, True), repeat=5) if sum(e) == 2])
    walked = visited(masks, queries)
    assert p_value(draw(masks, 40_000), {node: n / walked.total() for node, n in walked.items()}) > ALARM


def test_masks_that_leave_nothing_missing_are_refused() -> None:
    protocol = CompletionProtocol(ChannelMasks(3, FixedChannels([0, 1, 2], 3)))
    with pytest.raises(UserError, match="leave at least one dimension to the assistant"):
        protocol.sample(10, torch.Generator().manual_seed(0))


def test_masks_that_seldom_leave_something_missing_are_not_refused() -> None:
    full = ChannelMasks(3, FixedChannels([0, 1, 2], 3))
    masks = MixtureMasks([full, ChannelMasks(3, FixedChannels([0, 1], 3))], [99.0, 1.0])
    assert set(draw(masks, 50)) == {(True, True, False)}


def test_nodes_come_from_the_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert draw(CardinalityMasks(4), 100, seed=3) == draw(CardinalityMasks(4), 100, seed=3)
    assert draw(CardinalityMasks(4), 100, seed=3) != draw(CardinalityMasks(4), 100, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
