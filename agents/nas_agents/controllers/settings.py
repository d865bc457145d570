"""The LSTM controller's sizes, and those of NAS, NASNet and ENAS by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_gym.errors import (
    InvalidSettings,
    choices_hint,
    from_fields,
    require_integer,
    require_number,
    require_truth,
)


@dataclass(frozen=True)
class ControllerSettings:
    """The sizes of a controller, and how it begins.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    hidden_size: int = 100
    layers: int = 1
    init_range: float = 0.1
    """All weights are drawn uniformly from [-init_range, init_range]."""
    shared: bool = True
    """Whether decisions of one kind share a softmax and their embeddings; a learned vector in the
    input of each step then tells them apart. Otherwise each decision has its own."""
    bias: bool = True
    """Whether the LSTM and the softmaxes have biases."""
    temperature: float | None = None
    """Logits are divided by it."""
    tanh_constant: float | None = None
    """c: the logits u, once divided by the temperature, become c tanh(u)."""
    op_tanh_reduce: float = 1.0
    """c is divided by it, but for choices that attention scores."""
    index_attention: bool = False
    """Whether attention over earlier hidden states decides among them."""
    favoured_ops: int = 0
    """So many first operations of cells begin with a bias of 10, which is learned, and have another
    of 0.25 after the tanh in normal cells, where the others have -0.25."""

    def __post_init__(self) -> None:
        require_integer("hidden_size", self.hidden_size, least=1)
        require_integer("layers", self.layers, least=1)
        require_integer("favoured_ops", self.favoured_ops, least=0)
        for name in ("shared", "bias", "index_attention"):
            require_truth(name, getattr(self, name))
        for name in ("init_range", "temperature", "tanh_constant", "op_tanh_reduce"):
            value = getattr(self, name)
            if value is not None or name in ("init_range", "op_tanh_reduce"):
                require_number(name, value, 1e-9, math.inf)


CONTROLLERS = {
    "nas": ControllerSettings(hidden_size=35, layers=2, init_range=0.08),
    "nasnet": ControllerSettings(shared=False),
    "enas": ControllerSettings(temperature=5.0, tanh_constant=2.5),
    "enas-macro-released": ControllerSettings(64, bias=False, tanh_constant=1.5),
    "enas-micro-released": ControllerSettings(
        64,
        bias=False,
        tanh_constant=1.1,
        op_tanh_reduce=2.5,
        index_attention=True,
        favoured_ops=2,
    ),
}
"""The papers' sizes and initialisations: NAS section 4.1; NASNet appendix A.1, with its 2 x 5B
softmaxes; ENAS's paper, and its released code's, https://github.com/melodyguan/enas. There, what
attention chose is what the LSTM reads next, a block's anchor is a step of its own, and every block
begins with the same input; here, the LSTM reads the choice's embedding, the anchor is the next
block's first step, and each step has a learned vector. Whether the paper's own micro controller
has attention is not known here, so that "enas" has none."""


def controller_settings(given: str | Mapping[str, Any] | None) -> ControllerSettings:
    """The settings of a name in `CONTROLLERS`, or the defaults but for those given.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    if not isinstance(given, str):
        return from_fields(ControllerSettings, "controller", given or {})
    if given not in CONTROLLERS:
        hint = choices_hint(given, CONTROLLERS)
        raise InvalidSettings(f"controller: {given!r} is not known; {hint}")
    return CONTROLLERS[given]
