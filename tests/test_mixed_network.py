"""The mixed network: what it reads, what it answers, and its members."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autonomy.density.categorical import MixedConditional
from autonomy.density.conditional import MixtureConditional
from autonomy.density.networks.mixed import MixedNetwork
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.types import UserError
from tests.laws import generator
from tests.mixed import network

torch.set_num_threads(1)
SEVERAL = [3, 0, 2, 0, 7]
"""More kinds of dimensions than one, the last with more values than a mixture has outputs."""


def questions(n: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of the dimensions `SEVERAL`, what is known of them, and context."""
    drawing = generator(4)
    x = torch.randn(n, len(SEVERAL), generator=drawing).double()
    for dim, count in enumerate(SEVERAL):
        if count:
            x[:, dim] = torch.randint(count, (n,), generator=drawing).double()
    known = torch.rand(n, len(SEVERAL), generator=drawing) < 0.5
    return x, known, torch.randn(n, 2, generator=drawing).double()


def test_a_step_is_the_law_of_its_dimension_among_all() -> None:
    made, (x, known, context) = network(SEVERAL), questions()
    together = made.all(x, known, context)
    for dims in (torch.arange(30) % 5, torch.full((30,), 4), torch.full((30,), 1)):
        rows = torch.arange(30)
        alone = made.at(x, known, dims, context)
        torch.testing.assert_close(alone.log_prob(x[rows, dims]), together.log_prob(x)[rows, dims])
        torch.testing.assert_close(alone.mode, together.mode[rows, dims])


def test_probabilities_of_the_categories_sum_to_one() -> None:
    made, (x, known, context) = network(SEVERAL), questions()
    law = made.all(x, known, context)
    for dim, count in enumerate(SEVERAL):
        total = sum(law.log_prob(torch.full_like(x, value))[:, dim].exp() for value in range(count))
        if count:
            torch.testing.assert_close(total, torch.ones(30).double())


def test_only_what_is_known_is_read_and_every_category_differs() -> None:
    made, (x, known, context) = network(SEVERAL), questions()
    known[:] = torch.tensor([True, False, False, True, False])
    before = made.all(x, known, context)
    spoilt = torch.where(known, x, torch.nan)
    assert torch.equal(made.all(spoilt, known, context).mean, before.mean)
    answers = [made.all(torch.where(torch.arange(5) == 0, value, x), known, context).mean for value in range(3)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert ((answers[one] - answers[other]).abs()[:, 1:] > 1e-6).all()
    unknown = made.all(x, known & (torch.arange(5) > 0), context).mean
    assert all(((answer - unknown).abs()[:, 1:] > 1e-6).all() for answer in answers)


def test_without_categories_it_is_the_mixture_network() -> None:
    mixed, plain = network([0] * 4), MixtureNetwork(4, 2, width=16, depth=2, components=4).double()
    plain.load_state_dict(mixed.state_dict())
    x, known, context = questions()
    x, known = x[:, :4], known[:, :4]
    torch.testing.assert_close(mixed.all(x, known, context).log_prob(x), plain.all(x, known, context).log_prob(x))


def test_members_answer_as_they_would_alone() -> None:
    """The last column of the context says who is asked."""
    made, (x, known, context) = network(SEVERAL, context=2, members=2), questions()
    law = [made.all(x, known, torch.cat([context, torch.full((30, 1), m).double()], 1)).mean for m in range(2)]
    assert ((law[0] - law[1]).abs() > 1e-9).all()
    who = (torch.arange(30) % 2)[:, None]
    both = made.all(x, known, torch.cat([context, who.double()], 1)).mean
    torch.testing.assert_close(both, torch.where(who == 0, *law))


@pytest.mark.parametrize("categories", [[], [1, 0], [0, -2]])
def test_impossible_numbers_of_categories_are_refused(categories: list[int]) -> None:
    with pytest.raises(UserError, match="0 for a continuous dimension or the number of its values, at least 2"):
        MixedNetwork(categories, 0)


def test_laws_are_of_the_kind_of_their_dimension() -> None:
    made, (x, known, context) = network(SEVERAL), questions()
    law = made.at(x, known, torch.full((30,), 1), context)
    assert isinstance(law, MixedConditional)
    assert law.picks() == MixtureConditional.picks() == made.picks
    drawn = made.all(x, known, context).sample(generator(1))
    categorical = torch.tensor([count > 0 for count in SEVERAL])
    assert (drawn == drawn.round()).all(0).tolist() == categorical.tolist()
