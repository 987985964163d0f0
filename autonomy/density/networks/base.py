"""What an objective asks of a network, and nothing of its insides."""

from __future__ import annotations

import abc

from torch import Tensor, nn

from autonomy.density.conditional import Conditional


class Network(nn.Module, abc.ABC):
    """p(x_i | x_known, context) for every dimension i of `dim` and any known subset.

    `x` and `known` are (B, dim), `known` bool; `context` is (B, context_dim). Values of `x` that are not known are not
    read. `numeric` (dim,) bool says which dimensions are continuous; the others hold the number of a category, as a
    float. `picks` are the names that the conditionals' `pick` takes.
    """

    numeric: Tensor
    picks: tuple[str, ...] = Conditional.picks()

    def __init__(self, dim: int, context_dim: int, numeric: Tensor) -> None:
        super().__init__()
        self.dim, self.context_dim = dim, context_dim
        self.register_buffer("numeric", numeric, persistent=False)

    @abc.abstractmethod
    def all(self, x: Tensor, known: Tensor, context: Tensor) -> Conditional:
        """The conditionals of all dimensions, batch shape (B, dim); meaningless where a dimension is known."""

    @abc.abstractmethod
    def at(self, x: Tensor, known: Tensor, dims: Tensor, context: Tensor) -> Conditional:
        """The conditional of one dimension a row, `dims` (B,) of whole numbers, batch shape (B,)."""

    @abc.abstractmethod
    def step_bytes(self) -> int:
        """The memory in bytes that one row takes in `at`."""

    def check(self, x: Tensor, read: Tensor) -> None:
        """Raise `UserError` when a value of `x` (B, dim) where `read` is True is none that its dimension can have."""
