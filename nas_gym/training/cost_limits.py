"""`CostLimits`: hard limits of a child's costs, checked before it is trained."""

from __future__ import annotations

from nas_gym.settings import Above0, settings
from nas_gym.training.failures import Attempt, OverLimit

BYTES_A_WEIGHT = 4  # float32


@settings
class CostLimits:
    """The costs that a child may have; default: any.

    Raises:
        InvalidSettings: a value is out of its range.
    """

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

    def check(self, child: Attempt) -> None:
        """Raise `OverLimit` if a child costs more than is allowed, by what is measured so far."""
        costs = dict(vars(child))
        if child.parameters is not None:
            costs["weight_bytes"] = BYTES_A_WEIGHT * child.parameters
        for name, limit in vars(self).items():
            if limit is not None and costs[name] is not None and costs[name] > limit:
                raise OverLimit(f"{name}: {costs[name]:,g}, and at most {limit:,g} are allowed")
