"""Coverage: which steps of inference the network has never been trained for."""

from __future__ import annotations

import pytest
import torch

from autonomy.density.coverage import coverage, coverage_of, walked
from autonomy.density.lattice import subsets
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, FixedMasks
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import AnyOrderProtocol, CompletionProtocol, DecompositionProtocol, MarginalProtocol
from tests.laws import generator

NINE = CardinalityMasks(9, 1)


def test_the_marginal_protocol_leaves_half_of_the_evidence_untrained() -> None:
    """Nine dimensions: no evidence that holds the last one has a node; 255 of the 511 sets that are not full."""
    found = coverage(MarginalProtocol(NINE), CompletionProtocol(CardinalityMasks(9, 0, 8)))
    assert len(found.nodes) == 255
    assert all(8 in node for node, _ in found.nodes)
    assert found.untrained == pytest.approx(sum(share for _, share in found.nodes))
    assert f"{found.untrained:.1%}" == "29.6%"  # the README says so
    assert found.steps is None


def test_an_operator_that_holds_the_last_dimension_is_never_covered_by_it() -> None:
    found = coverage(MarginalProtocol(NINE), CompletionProtocol(FixedMasks([[2, 8]], 9)))
    assert found.untrained == pytest.approx(1.0)
    assert [node for node, _ in found.nodes[:2]] == [(0, 1, 2, 3, 4, 5, 6, 8), (0, 1, 2, 3, 4, 5, 8)]
    assert {len(node) for node, _ in found.nodes} == set(range(2, 9))


@pytest.mark.parametrize(
    ("trained", "asked"),
    [
        (MarginalProtocol(NINE), MarginalProtocol(NINE)),
        (CompletionProtocol(CardinalityMasks(9)), CompletionProtocol(FixedMasks([[0, 4], [8]], 9))),
        (CompletionProtocol(CardinalityMasks(9)), MarginalProtocol(NINE)),
        (AnyOrderProtocol(9), CompletionProtocol(CardinalityMasks(9))),
        (MarginalProtocol(NINE, [8, 0, 1, 2, 3, 4, 5, 6, 7]), CompletionProtocol(FixedMasks([[8]], 9), [8, *range(8)])),
    ],
)
def test_what_is_trained_for_is_covered(trained: DecompositionProtocol, asked: DecompositionProtocol) -> None:
    found = coverage(trained, asked)
    assert found.untrained == 0
    assert found.nodes == ()
    assert str(found) == "every step of inference is on a node that training visits (exactly)"


def test_many_dimensions_are_sampled_and_few_agree_with_the_sample() -> None:
    trained, asked = MarginalProtocol(CardinalityMasks(40, 1)), CompletionProtocol(CardinalityMasks(40))
    found = coverage(trained, asked)
    assert found.steps == 100_000
    exact = coverage(MarginalProtocol(NINE), CompletionProtocol(CardinalityMasks(9, 0, 8)))
    nodes = CompletionProtocol(CardinalityMasks(9, 0, 8)).sample(200_000, generator()).known
    drawn = coverage_of(MarginalProtocol(NINE), nodes)
    assert drawn.untrained == pytest.approx(exact.untrained, abs=0.005)
    assert drawn.nodes[0][0] == exact.nodes[0][0]


def test_the_sentence_names_the_share_and_some_nodes() -> None:
    found = coverage(MarginalProtocol(CardinalityMasks(3, 1)), CompletionProtocol(FixedMasks([[2]], 3)))
    assert str(found).startswith(
        "100.0% of the steps of inference (exactly) are on 2 nodes that training never visits, such as {0, 2} 50.0%"
    )


def test_no_steps_at_all_are_covered() -> None:
    assert coverage_of(AnyOrderProtocol(3), torch.zeros(0, 3, dtype=torch.bool)).untrained == 0


class Recording(MAC):
    """Remembers the nodes that it was asked about."""

    def step(self, x, path, dims, context):  # type: ignore[no-untyped-def]
        self.visited.append(path < path.gather(1, dims[:, None]))
        return super().step(x, path, dims, context)


@pytest.mark.parametrize("kind", ["marginal", "completion", "any-order", "ordered"])
def test_the_walked_nodes_are_those_that_the_network_is_asked_about(kind: str) -> None:
    protocols: dict[str, DecompositionProtocol] = {
        "marginal": MarginalProtocol(CardinalityMasks(4, 1)),
        "completion": CompletionProtocol(CardinalityMasks(4)),
        "any-order": AnyOrderProtocol(4),
        "ordered": MarginalProtocol(CardinalityMasks(4, 1), [2, 0, 3, 1]),
    }
    model = Recording(MixtureNetwork(4, 0, width=4, depth=2, components=1), protocols[kind])
    model.visited = []
    query, evidence = (masks.repeat(2, 1)[:20] for masks in (subsets(4), subsets(4).roll(3, 0)))
    query = query & ~evidence
    rows = query.any(1)
    query, evidence = query[rows], evidence[rows]
    model.log_prob(torch.zeros(query.shape), query, evidence)
    asked, walks = torch.cat(model.visited), walked(protocols[kind], query, evidence)
    assert sorted(map(tuple, asked.tolist())) == sorted(map(tuple, walks.tolist()))
    assert len(asked) > 20
