"""The assistant that does nothing: what the operator reaches alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, Assistant


class ZeroAssistant(Assistant):
    """Fills the dimensions that the operator does not hold with 0: those joints stand still."""

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        mask = np.asarray(observation["operator_mask"], dtype=bool)
        return np.where(mask, observation["operator_action"], 0.0).astype(np.float32), state
