"""Defaults of both ENAS environments where children share weights."""

from typing import Any

SHARING_DEFAULTS: dict[str, Any] = {
    "form": "released_search",
    "epochs": 150,
    "batch_size": 32,
    "learning_rate": 0.05,
    "weight_decay": 2e-4,
}
"""Arguments where these differ from the defaults of children that are trained by themselves."""
