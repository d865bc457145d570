"""The LSTM controller's settings, and those of NAS, NASNet and ENAS by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_gym.settings import Above0, Count, Size, from_mapping, require_known, settings


@settings
class ControllerSettings:
    """Sizes, form and initialisation of a controller."""

    hidden_size: Size = 100
    layers: Size = 1
    init_range: Above0 = 0.1
    """All weights are drawn uniformly from [-init_range, init_range]."""
    shared: bool = True
    """Decisions of one kind share a softmax and their embeddings; a learned vector in the input of
    each step then distinguishes them. Otherwise each decision has its own."""
    bias: bool = True
    """The LSTM and the softmaxes have biases."""
    temperature: Above0 | None = None
    """Logits are divided by it."""
    tanh_constant: Above0 | None = None
    """c: the logits u, once divided by the temperature, become c tanh(u)."""
    op_tanh_reduce: Above0 = 1.0
    """c is divided by it, except for choices that attention scores."""
    index_attention: bool = False
    """Attention over earlier hidden states selects among them."""
    attends_nodes: bool = False
    """The form for ENAS's recurrent cells; see `nas_agents.controllers.recurrent_cells`."""
    favoured_ops: Count = 0
    """Number of first operations of cells that begin with a bias of 10, which is learned, and have
    a fixed one of 0.25 after the tanh in normal cells, where the others have -0.25."""


CONTROLLERS = {
    "nas": ControllerSettings(hidden_size=35, layers=2, init_range=0.08),
    "nasnet": ControllerSettings(shared=False),
    "enas": ControllerSettings(temperature=5.0, tanh_constant=2.5),
    "enas-macro-released": ControllerSettings(64, bias=False, tanh_constant=1.5),
    "enas-micro-released": ControllerSettings(
        64, bias=False, tanh_constant=1.1, op_tanh_reduce=2.5, index_attention=True, favoured_ops=2
    ),
    "enas-recurrent-released": ControllerSettings(
        *(64, 1, 0.01), bias=False, temperature=5.0, tanh_constant=2.25, attends_nodes=True
    ),
}
"""The papers' sizes and initialisations: NAS section 4.1; NASNet appendix A.1, with its 2 x 5B
softmaxes; ENAS's paper, and its released code's, https://github.com/melodyguan/enas. There, the
LSTM reads next what attention chose, a block's anchor is a step of its own, and every block begins
with the same input; here, the LSTM reads the choice's embedding, the anchor is the next block's
first step, and each step has a learned vector. It is not known here if the paper's own micro
controller has attention, so "enas" has none."""


def controller_settings(given: str | Mapping[str, Any] | None) -> ControllerSettings:
    """Return the settings of a name in `CONTROLLERS`, or the defaults updated by a mapping."""
    if not isinstance(given, str):
        return from_mapping(ControllerSettings, "controller", given or {})
    require_known([given], CONTROLLERS, "controller: ")
    return CONTROLLERS[given]
