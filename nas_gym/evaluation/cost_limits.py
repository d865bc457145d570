"""`CostLimits`: hard limits of a child's costs, checked before it is trained. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.settings import Above0, settings

BYTES_A_WEIGHT = 4  # float32


@settings
class CostLimits:
    """The costs that a child may have; default: any."""

    parameters: Above0 | None = None
    """Trainable parameters."""
    weight_bytes: Above0 | None = None
    """Bytes of the parameters in float32: four each."""
    multiply_adds: Above0 | None = None
    """Multiply-adds of inference on one image."""
    peak_activation_bytes: Above0 | None = None
    """Peak bytes of activations in inference on one image, in float32."""
    latency: Above0 | None = None
    """Seconds of inference on a batch."""

    def exceeded(self, costs: Mapping[str, Any]) -> str:
        """Return which limit one child's costs exceed, by what is known of them; "" for none."""
        for name, limit in vars(self).items():
            cost = _cost(costs, name)
            if limit is not None and cost is not None and cost > limit:
                return f"{name}: {cost:,.10g}, and at most {limit:,.10g} are allowed"
        return ""

    def excess(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return by how much N children exceed a limit, (N,), by the columns of their costs.

        It is a share of the limit, the largest of several, and 0 within all of them.
        """
        largest = np.zeros(len(next(iter(columns.values()))))
        for name, limit in vars(self).items():
            cost = _cost(columns, name)
            if limit is not None and cost is not None:
                np.fmax(largest, (cost - limit) / limit, out=largest)
        return largest


def _cost(costs: Mapping[str, Any], name: str) -> Any:
    """Return a cost, or an array of it; None if it is not known."""
    if name != "weight_bytes":
        return costs.get(name)
    parameters = costs.get("parameters")
    return None if parameters is None else BYTES_A_WEIGHT * parameters
