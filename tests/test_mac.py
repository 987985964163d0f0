"""MAC: its loss, its noise, the paths it walks, and what its network reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from autonomy.channels import FixedChannels
from autonomy.density.lattice import subsets
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, ChannelMasks
from autonomy.density.network import ResidualMLP
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import AnyOrderProtocol, CompletionProtocol, DecompositionProtocol, MarginalProtocol
from autonomy.types import UserError
from tests.densities import CONTEXT, DIM, ORDER, ROWS, build, rows
from tests.laws import generator

PROTOCOLS: dict[str, DecompositionProtocol] = {
    "completion": CompletionProtocol(CardinalityMasks(DIM)),
    "marginal": MarginalProtocol(CardinalityMasks(DIM, 1), weighting="cardinality"),
    "any-order": AnyOrderProtocol(DIM),
}


def network(protocol: DecompositionProtocol | None = None, floor: float = 0.02, **options: Any) -> MAC:
    """A small one whose weights are all random, so that every input matters."""
    protocol = protocol or PROTOCOLS["completion"]
    answering = MixtureNetwork(protocol.dim, CONTEXT, width=16, depth=2, components=3, floor=floor)
    model = MAC(answering, protocol, **options)
    drawing = generator(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=drawing))
    return model.double().eval()


def trunk(model: MAC) -> ResidualMLP:
    assert isinstance(model.network, MixtureNetwork)
    return model.network.trunk


def held(*dims: int, n: int = ROWS) -> Tensor:
    return torch.isin(torch.arange(DIM), torch.tensor(dims, dtype=torch.long)).expand(n, -1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("edge", "regression"), [(0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.3, 2.0)])
def test_the_loss_is_the_formula(protocol: str, edge: float, regression: float) -> None:
    model = network(PROTOCOLS[protocol], edge=edge, regression=regression)
    x, _, context = rows()
    known, following = model.protocol.sample(ROWS, generator(6))
    mixtures = model.conditionals(x, known, context)
    cost = -mixtures.log_prob(x) + regression * (mixtures.mean - x) ** 2
    expected = 0.0
    for row in range(ROWS):
        missing = (~known[row]).nonzero().flatten().tolist()
        walked = int(following[row].nonzero())
        assert walked in missing
        out_edges = sum(cost[row, dim].item() for dim in missing) / len(missing)
        expected += (edge * cost[row, walked].item() + (1 - edge) * out_edges) / ROWS
    assert model.loss(x, context, generator(6)).item() == pytest.approx(expected)


@pytest.mark.parametrize("options", [{"edge": -0.1}, {"edge": 1.1}, {"evidence_noise": -0.1}, {"regression": -1.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"edge must be in \[0, 1\], evidence_noise and regression at least 0"):
        network(**options)


def test_a_protocol_of_another_width_is_refused() -> None:
    with pytest.raises(UserError, match="the protocol is for 3 dimensions, but the density has 4"):
        MAC(MixtureNetwork(DIM, CONTEXT), AnyOrderProtocol(3))


def test_a_step_is_the_output_of_its_dimension() -> None:
    """The last layer works out one dimension a row: the same numbers as all of them."""
    model, (x, _, context) = network(), rows()
    path = torch.rand(ROWS, DIM, generator=generator(1)).argsort(1)
    for dims in (torch.arange(ROWS) % DIM, torch.full((ROWS,), 2), torch.arange(ROWS).flip(0) % DIM):
        known = path < path.gather(1, dims[:, None])
        alone = model.step(x, path, dims, context)
        of_all = model.conditionals(x, known, context)
        index = torch.arange(ROWS), dims
        for part in ("means", "scales", "log_weights"):
            torch.testing.assert_close(getattr(alone, part), getattr(of_all, part)[index])


@pytest.mark.parametrize("name", ["mac-marginal", "mac-marginal-ordered", "mac-completion", "mac-any-order"])
def test_the_log_density_is_the_sum_along_the_protocol_s_path(name: str) -> None:
    model = build(name)
    assert isinstance(model, MAC)
    order = ORDER if name.endswith("ordered") else list(range(DIM))
    x, evidence, context = rows()
    query = ~evidence
    got = model.log_prob(x, query, evidence, context)

    def along(row: int, known: set[int], added: set[int]) -> float:
        total, node = 0.0, known
        for dim in [d for d in order if d in added]:
            mask = torch.isin(torch.arange(DIM), torch.tensor(sorted(node), dtype=torch.long))[None]
            conditional = model.conditionals(x[row, None], mask, context[row, None])
            total, node = total + conditional.log_prob(x[row, None])[0, dim].item(), node | {dim}
        return total

    for row in range(ROWS):
        asked, given = ({d for d in range(DIM) if mask[row, d]} for mask in (query, evidence))
        if "marginal" in name:
            expected = along(row, set(), asked | given) - along(row, set(), given)
        else:
            expected = along(row, given, asked)
        assert got[row].item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mac-marginal", "mac-completion"])
@pytest.mark.parametrize(("evidence", "query"), [((0,), (1, 2, 3)), ((0, 1), (2, 3)), ((0, 2), (3,)), ((0,), (2,))])
def test_conditionals_are_joint_less_marginal_where_the_paths_agree(
    name: str, evidence: tuple[int, ...], query: tuple[int, ...]
) -> None:
    model, (x, _, context) = build(name), rows()
    given, asked, nothing = held(*evidence), held(*query), held()
    joint, marginal = (model.log_prob(x, subset, nothing, context) for subset in (given | asked, given))
    torch.testing.assert_close(model.log_prob(x, asked, given, context), joint - marginal)


def test_a_marginal_model_s_conditionals_are_joint_less_marginal_always() -> None:
    model = build("mac-marginal")
    x, evidence, context = rows()
    given = evidence.any(1)
    parts = [part[given] for part in (x, ~evidence, evidence, context)]
    nothing = torch.zeros_like(parts[2])
    joint = model.log_prob(parts[0], parts[1] | parts[2], nothing, parts[3])
    marginal = model.log_prob(parts[0], parts[2], nothing, parts[3])
    torch.testing.assert_close(model.log_prob(*parts), joint - marginal)


@pytest.mark.parametrize("pick", ["mean", "mode", "component", "density"])
@pytest.mark.parametrize(("name", "walk"), [("mac-completion", (0, 1, 3)), ("mac-marginal-ordered", (0, 3, 1))])
def test_completion_walks_the_missing_dimensions_in_the_protocol_s_order(
    name: str, walk: tuple[int, ...], pick: str
) -> None:
    model, (x, _, context) = build(name), rows()
    assert isinstance(model, MAC)
    filled, known = x.clone(), held(2).clone()
    for dim in walk:
        filled[:, dim] = model.conditionals(filled, known, context).pick(pick)[:, dim].detach()
        known[:, dim] = True
    torch.testing.assert_close(model.complete(x, held(2), context, pick), filled)


def test_a_known_zero_is_not_an_unknown() -> None:
    model, (_, _, context) = network(), rows()
    nothing = torch.zeros(ROWS, DIM).double()
    difference = model.mode(nothing, held(0), context) - model.mode(nothing, held(), context)
    assert (difference[:, 1:].abs().amax(1) > 1e-3).all()


def test_noise_is_put_on_the_evidence_and_nowhere_else() -> None:
    noise, n = 0.5, 4000
    masks = ChannelMasks(DIM, FixedChannels([1, 2, 3], DIM))
    model = network(CompletionProtocol(masks), evidence_noise=noise, regression=2.0)
    x, _, context = rows(n)
    inputs: list[Tensor] = []
    trunk(model).register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    loss = model.loss(x, context, generator(8))
    known, mask, seen_context = inputs[0].split([DIM, DIM, CONTEXT], 1)
    assert torch.equal(mask.bool(), held(1, 2, 3, n=n))
    assert torch.equal(seen_context, context)
    assert torch.equal(known[:, 0], torch.zeros(n).double())
    error = (known - x)[:, 1:]
    assert error.abs().min() > 0
    assert error.mean().item() == pytest.approx(0.0, abs=0.02)
    assert error.square().mean().item() == pytest.approx(noise**2 / 3, rel=0.1)
    by_row = error.square().mean(1)
    assert by_row.max() > 20 * by_row.median()  # a strength a row, not one for all
    mixtures = model.conditionals(known, held(1, 2, 3, n=n), context)
    clean = -mixtures.log_prob(x) + 2 * (mixtures.mean - x).square()  # the targets carry no noise
    assert loss.item() == pytest.approx(clean[:, 0].mean().item())


def test_noise_changes_nothing_where_nothing_is_observed() -> None:
    x, _, context = rows()
    protocol = CompletionProtocol(ChannelMasks(1, FixedChannels([], 1)))
    losses = [
        network(protocol, evidence_noise=noise).loss(x[:, :1], context, generator(9)).item() for noise in (0.0, 100.0)
    ]
    assert losses[0] == losses[1]


def test_gradients_stay_finite_on_saturated_data() -> None:
    """Values at the box's corners, a tiny floor and a hasty optimiser."""
    model = network(floor=1e-3).float().train()
    drawing = generator(10)
    x = torch.where(torch.rand(64, DIM, generator=drawing) < 0.8, 1.0, -0.999)
    x[:, 3] = 1.0
    context = 100 * torch.randn(64, CONTEXT, generator=drawing)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = model.loss(x, context, drawing)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in model.parameters())
        optimiser.step()
    assert loss.item() < 0


def test_the_network_is_asked_once_for_all_steps_of_all_rows() -> None:
    """No Python loop of passes: one forward for a batch with every query of four dimensions."""
    model = network(MarginalProtocol(CardinalityMasks(DIM, 1)))
    passes: list[int] = []
    trunk(model).entry.register_forward_pre_hook(lambda _, arguments: passes.append(len(arguments[0])))
    query = subsets(DIM)[1:]
    x, context = torch.zeros(len(query), DIM).double(), torch.zeros(len(query), CONTEXT).double()
    model.log_prob(x, query, torch.zeros_like(query), context)
    assert passes == [int(query.sum())]
