"""Several members as one density: the mixture of their joint laws, and each member as if it were alone."""

from __future__ import annotations

import pytest
import torch

from autonomy.density.ensemble import Ensemble
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.base import Network
from autonomy.density.networks.mixed import MixedNetwork
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import CompletionProtocol
from autonomy.types import UserError

D, C, E, ROWS = 4, 2, 3, 6


def mac(members: int = E) -> MAC:
    torch.manual_seed(0)
    network = MixtureNetwork(D, C, 16, 2, components=3, members=members)
    return moved(MAC(network, CompletionProtocol(CardinalityMasks(D))))


def moved(density: MAC) -> MAC:
    """Away from the weights that start at zero."""
    drawing = torch.Generator().manual_seed(1)
    for parameter in density.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=drawing)
    return density.eval()


def alone(density: MAC, member: int) -> MAC:
    """One member of `density`, as a density of its own."""
    single = mac(1)
    shapes = single.state_dict()
    own = {
        name: tensor if tensor.shape == shapes[name].shape else tensor[member].view(shapes[name].shape)
        for name, tensor in density.state_dict().items()
    }
    single.load_state_dict(own)
    return single


@pytest.fixture
def asked() -> tuple[torch.Tensor, ...]:
    drawing = torch.Generator().manual_seed(2)
    x, context = torch.randn(ROWS, D, generator=drawing), torch.randn(ROWS, C, generator=drawing)
    evidence = torch.tensor([[False] * 4, [True] + [False] * 3, [True, False, True, False]]).repeat(2, 1)
    query = ~evidence
    query[3:, 3] = False
    return x, query, evidence, context


def test_log_prob_is_that_of_the_mixture_of_joint_laws(asked: tuple[torch.Tensor, ...]) -> None:
    x, query, evidence, context = asked
    density = mac()
    whole = Ensemble(density, E).log_prob(x, query, evidence, context)
    members = [alone(density, member) for member in range(E)]
    nothing = torch.zeros_like(query)
    with torch.no_grad():
        joint = torch.stack([m._log_prob(x, query, evidence, context) for m in members])
        given = torch.stack([m._log_prob(x, evidence, nothing, context) for m in members])
    expected = torch.logsumexp(joint + given, 0) - torch.logsumexp(given, 0)
    assert whole.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_mean_is_the_members_and_held_values_stay(asked: tuple[torch.Tensor, ...]) -> None:
    x, _, evidence, context = asked
    density = mac()
    filled = Ensemble(density, E).complete(x, evidence, context, "mean")
    expected = torch.stack([alone(density, m).complete(x, evidence, context, "mean") for m in range(E)]).mean(0)
    assert torch.allclose(filled, expected, atol=1e-5)
    assert torch.equal(filled[evidence], x[evidence])


def test_quantiles_invert_the_mixed_cdf_and_ranks_of_own_draws_are_uniform(asked: tuple[torch.Tensor, ...]) -> None:
    x, _, evidence, context = asked
    whole = Ensemble(mac(), E)
    middle = whole.quantile(0.3, x, evidence, context)
    assert whole.cdf(middle, evidence, context)[~evidence].tolist() == pytest.approx(
        [0.3] * int((~evidence).sum()), abs=1e-4
    )
    drawing, many = torch.Generator().manual_seed(3), 400
    context, nothing = context[:1].repeat(many, 1), torch.zeros(many, D, dtype=torch.bool)
    drawn = whole.complete(torch.zeros(many, D), nothing, context, "sample", drawing)
    ranks = whole.highest_density_rank(drawn, ~nothing, nothing, context, 19, drawing)
    assert ranks.mean() == pytest.approx(0.525, abs=0.05)
    assert (ranks <= 0.1).float().mean() == pytest.approx(0.1, abs=0.05)


def test_a_training_batch_is_split_between_the_members() -> None:
    whole = Ensemble(mac(), E).train()
    drawing = torch.Generator().manual_seed(4)
    x, context = torch.randn(3 * E, D, generator=drawing), torch.randn(3 * E, C, generator=drawing)
    protocol = whole.density.protocol
    before = drawing.get_state()
    loss = whole.loss(x, context, drawing)
    known, _ = protocol.sample(3 * E, torch.Generator().set_state(before))
    assert known.shape == (3 * E, D)
    loss.backward()
    weights = whole.density.network.trunk.entry.weight.grad
    assert bool((weights.abs().sum((1, 2)) > 0).all())
    with pytest.raises(UserError, match="3 members need a batch"):
        whole.loss(x[:2], context[:2], drawing)


def test_categories_are_not_averaged() -> None:
    torch.manual_seed(0)
    network: Network = MixedNetwork([3, 0], C, 16, 2, components=2, members=2)
    whole = Ensemble(moved(MAC(network, CompletionProtocol(CardinalityMasks(2)))), 2)
    nothing = torch.zeros(5, 2, dtype=torch.bool)
    context = torch.randn(5, C, generator=torch.Generator().manual_seed(5))
    filled = whole.complete(torch.zeros(5, 2), nothing, context, "mean")
    assert set(filled[:, 0].tolist()) <= {0.0, 1.0, 2.0}
    assert set(whole.quantile(0.5, torch.zeros(5, 2), nothing, context)[:, 0].tolist()) <= {0.0, 1.0, 2.0}
    with pytest.raises(UserError, match="categories are 0 to 2"):
        whole.complete(torch.full((5, 2), 0.5), ~nothing, context, "mean")


def test_a_density_of_another_number_of_members_is_refused() -> None:
    network = MixtureNetwork(D, 0, 16, 2, components=3)
    with pytest.raises(UserError, match="give its network members=2"):
        Ensemble(MAC(network, CompletionProtocol(CardinalityMasks(D))), 2)
