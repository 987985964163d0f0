"""Data, queries and scores of the density comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from autonomy.density.base import Density
from eval.density.cell import by_cluster, scored_index
from eval.density.data import DensityData
from eval.density.scores import KINDS, coverages, divergences, every_query, queries, score
from eval.density.synthetic import SyntheticMixture
from tests.densities import BUILDERS, build
from tests.laws import ALARM, p_value

SMALL = ["data.rows=400", "data.test_rows=60", "data.dim=3", "training.steps=6", "training.validate_every=3", "width=8"]
SMALL += ["components=2", "depth=2", "scoring.query_rows=3", "scoring.orders=2", "seeds=[0,1]"]


@pytest.fixture(scope="module")
def data() -> DensityData:
    return SyntheticMixture(dim=3, components=2, spread=1.0, floor=0.2, rows=4000, test_rows=3000, seed=1).load()


def test_synthetic_rows_are_drawn_from_the_truth(data: DensityData) -> None:
    assert data.truth is not None
    assert [len(part.actions) for part in (data.train, data.validation, data.test)] == [3600, 400, 3000]
    everything = torch.ones(3000, 3, dtype=torch.bool)
    x = data.test.actions.double()
    means = data.truth.mean(x[:1], everything[:1] & False)
    assert torch.isfinite(means).all()
    levels = data.truth.cdf(x, everything & False)
    assert (levels.mean(0) - 0.5).abs().max() < 0.03
    assert not torch.equal(data.train.actions[:400], data.validation.actions)


def test_queries_follow_the_paper_s_law() -> None:
    asked = queries(200_000, 4)
    assert asked["joint"].query.all()
    assert not asked["marginal"].evidence.any()
    from autonomy.density.masks import CardinalityMasks

    assert p_value(asked["marginal"].query, CardinalityMasks(4, 1).law()) > ALARM
    assert p_value(asked["conditional"].evidence, CardinalityMasks(4, 0, 3).law()) > ALARM
    assert torch.equal(asked["conditional"].query, ~asked["conditional"].evidence)
    assert torch.equal(queries(50, 4)["marginal"].query, queries(50, 4)["marginal"].query)


def test_every_query_is_there_once_marginals_first() -> None:
    query, evidence = every_query(4)
    assert len(query) == 3**4 - 2**4
    assert len({(*q, *e) for q, e in zip(query.tolist(), evidence.tolist(), strict=True)}) == len(query)
    assert not (query & evidence).any()
    assert query.any(1).all()
    assert not evidence[: 2**4 - 1].any()
    assert evidence[2**4 - 1 :].any(1).all()


def test_the_truth_has_no_divergence_from_itself_and_a_wrong_law_has_what_it_costs(data: DensityData) -> None:
    assert data.truth is not None
    assert np.abs(divergences(data.truth.float(), data.truth.double(), data.test, 20)).max() < 1e-2
    gap = score(data.truth.double(), _double(data), 1)["joint"] - score(_shifted(data), _double(data), 1)["joint"]
    assert gap.mean() > 0.1


def _double(data: DensityData) -> Any:
    return type(data.test)(*(part.double() for part in data.test))


def _shifted(data: DensityData) -> Density:
    from autonomy.density.gaussian import GaussianMixture

    truth = data.truth
    assert isinstance(truth, GaussianMixture)
    return GaussianMixture(truth.weights.double(), truth.means.double() + 0.5, truth.covariances.double())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_scores_have_bounds_where_orders_disagree(name: str) -> None:
    from autonomy.fit import Rows
    from tests.densities import rows

    density, (x, _, context) = build(name), rows()
    scores = score(density, Rows(context, x), 3)
    assert set(KINDS if not density.joint_only else ["joint"]) <= set(scores)
    many = name in ("mac-any-order", "made", "ace", "standardised")
    assert ("joint-elbo" in scores) == many
    if many:
        assert (scores["joint-elbo"] <= scores["joint-ensemble"] + 1e-9).all()
    found = coverages(density, 50)
    assert (found == {}) == (name == "flow")
    assert all(value.untrained == 0 for value in found.values())


def test_rows_are_averaged_by_cluster_and_limited_evenly(data: DensityData) -> None:
    values = np.array([[1.0, 3.0, 5.0, 7.0], [0.0, 2.0, 4.0, 6.0]])
    np.testing.assert_allclose(by_cluster(values, torch.tensor([4, 4, 0, 2])), [[5.0, 7.0, 2.0], [4.0, 6.0, 1.0]])
    assert by_cluster(values, None) is values
    assert len(scored_index(data, None)) == 3000
    assert scored_index(data, 4).tolist() == [0, 999, 1999, 2999]
