"""Bad masks and values, for every density: one sentence each."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from autonomy.density.base import Density
from autonomy.types import UserError
from tests.densities import BUILDERS, CONDITIONAL, DIM, ROWS, batch, build, rows
from tests.laws import generator

BAD = {
    "overlap": (lambda x, q, e, c: (x, q | e, e, c), "query and evidence overlap in row 1, dimension"),
    "empty": (lambda x, q, e, c: (x, q & False, e, c), "the query of row 0 is empty; ask for one dimension or more"),
    "narrow mask": (
        lambda x, q, e, c: (x, q[:, 1:], e, c),
        r"query must be a bool mask of shape \(24, 4\), got \(24, 3\)",
    ),
    "integers": (lambda x, q, e, c: (x, q, e.long(), c), "evidence must be a bool mask .* of torch.int64"),
    "nan": (
        lambda x, q, e, c: (x.clone().index_fill_(1, torch.arange(DIM), math.nan), q, e, c),
        "x is not finite in row 0",
    ),
    "infinite context": (lambda x, q, e, c: (x, q, e, c / 0), "context is not finite in row 0, dimension 0"),
    "wide x": (lambda x, q, e, c: (torch.cat([x, x], 1), q, e, c), r"x must be floating point \(B, 4\), got \(24, 8\)"),
    "whole numbers": (lambda x, q, e, c: (x.long(), q, e, c), "x must be floating point"),
    "a vector": (lambda x, q, e, c: (x[0], q[0], e[0], c[0]), r"x must be floating point \(B, 4\), got \(4,\)"),
    "no context": (lambda x, q, e, c: (x, q, e, None), r"context must be \(24, 2\), got \(24, 0\)"),
}


@pytest.fixture(scope="module", params=CONDITIONAL)
def density(request: pytest.FixtureRequest) -> Density:
    return build(request.param)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_sentence(name: str, mistake: str) -> None:
    change, sentence = BAD[mistake]
    x, query, evidence, context = batch()
    evidence[1] = torch.tensor([True, False, False, False])
    query[1] = ~evidence[1]
    with pytest.raises(UserError, match=sentence) as caught:
        build(name).log_prob(*change(x, query, evidence, context))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ranks", [torch.zeros(ROWS, DIM).long(), torch.arange(DIM)[None], torch.arange(1, DIM + 1).expand(ROWS, -1)]
)
def test_ranks_that_are_no_orders_are_refused(density: Density, ranks: Tensor) -> None:
    with pytest.raises(UserError, match=r"ranks must be a permutation of 0\.\.3 in each of the 24 rows"):
        density.log_prob(*batch(), ranks)


def test_levels_out_of_range_and_unknown_picks_are_refused(density: Density) -> None:
    x, evidence, context = rows()
    for level in (0.0, 1.0, 1.5, math.nan):
        with pytest.raises(UserError, match="levels between 0 and 1"):
            density.quantile(level, x, evidence, context)
    with pytest.raises(UserError, match="unknown pick 'best'; the valid ones are mean, mode, sample"):
        density.complete(x, evidence, context, "best")


def test_a_flow_refuses_all_but_the_joint() -> None:
    flow, (x, evidence, context) = build("flow"), rows()
    evidence[1] = torch.tensor([True, False, False, False])
    for call in (
        lambda: flow.log_prob(x, ~evidence, evidence, context),
        lambda: flow.sample(x, evidence, context),
        lambda: flow.cdf(x, evidence, context),
        lambda: flow.quantile(0.5, x, evidence, context),
    ):
        with pytest.raises(UserError, match="the joint"):
            call()
    nothing = torch.zeros_like(evidence)
    assert flow.sample(x, nothing, context, 3, generator()).shape == (3, ROWS, DIM)
    with pytest.raises(UserError, match="unknown pick 'mean'"):
        flow.mean(x, nothing, context)
