"""How an LSTM controller reads and makes the decisions of a search space.

The decisions' names and labels settle it:

- The kind of a decision is the last part of its name without its number: ``op`` for
  ``normal/block_2/op_1`` and ``normal/block_3/op_2``, ``edge`` for ``edge 3<-1``. Decisions of one
  kind share a softmax. A label stands for the same logit and the same embedding wherever it is a
  choice of that kind; so a selection among the hidden states has as many logits as there are
  states, whichever of them exist already.
- A decision with the labels of a skip connection (`SKIPS`), named ``layer_I/.../..._J``, asks
  whether the output of layer J goes to layer I. All of a layer's make up one step of the LSTM, its
  anchor point, as in NAS (Zoph & Le 2017, section 3.3) and in ENAS (Pham et al. 2018, section 2.3):
  they are drawn independently of each other.
- Every other decision is a step of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_gym.search_spaces import Decision

SKIPS = (("no", "yes"), ("not an input", "an input"))
"""The labels of ENAS's and of NAS's skip connections."""

_NUMBER = re.compile(r"[\s_]*[\d(][\d\s,<>()-]*$")
_SKIP = re.compile(r"^(?P<word>[^\d/]*)\d+/.*\D(?P<source>\d+)$")


@dataclass(frozen=True)
class ControllerSteps:
    """T decisions of at most A choices in S steps of the LSTM."""

    step: NDArray[np.int64]
    """(T + 1,): the step, from 0, that makes each decision; the last entry is S."""
    token: NDArray[np.int64]
    """(T, A + 1): the embedding of each observation of a decision: 0 where it is not made, or does
    not have so many choices, and then from 1 on."""
    logit: NDArray[np.int64]
    """(T, A): which of all softmaxes' logits is that of each choice; 0 where there is none."""
    valid: NDArray[np.bool_]
    """(T, A): whether a decision has so many choices."""
    anchor: NDArray[np.int64]
    """(T,): of a skip connection, the step of the layer that it comes from; otherwise -1."""
    tokens: int
    """How many embeddings there are, the first left out."""
    kinds: dict[str, list[str]]
    """The labels of each kind of softmax, in the order of their logits."""

    @property
    def logits(self) -> int:
        """How many logits all softmaxes have together."""
        return sum(map(len, self.kinds.values()))


def kind_of(decision: Decision) -> str:
    """The last part of a decision's name without its number."""
    last = decision.name.rpartition("/")[2]
    return _NUMBER.sub("", last) or last


def controller_steps(decisions: Sequence[Decision], shared: bool = True) -> ControllerSteps:
    """The steps of a search space's decisions.

    Args:
        decisions: All of them, in order.
        shared: Whether decisions of one kind share a softmax, and their embeddings; otherwise each
            has its own.
    """
    most = max(len(decision.choices) for decision in decisions)
    step = np.zeros(len(decisions) + 1, dtype=np.int64)
    token = np.zeros((len(decisions), most + 1), dtype=np.int64)
    logit = np.zeros((len(decisions), most), dtype=np.int64)
    valid = np.zeros((len(decisions), most), dtype=np.bool_)
    anchor = np.full(len(decisions), -1, dtype=np.int64)
    labels: dict[tuple[str, str], int] = {}  # the logits: (kind, label)
    tokens: dict[tuple[str, str], int] = {}
    ends: dict[str, int] = {}  # the last step of each layer
    before = ""
    for number, decision in enumerate(decisions):
        layer = decision.name.partition("/")[0]
        source = _source(decision)
        kind = kind_of(decision) if shared else decision.name
        point = layer if source else ""  # the anchor point that the decision is made at, if any
        step[number] = step[number - 1] + (number > 0 and not (point and point == before))
        before, ends[layer] = point, int(step[number])
        if source:
            anchor[number] = ends.get(source, 0)
        size = len(decision.choices)
        valid[number, :size] = True
        for place, label in enumerate(decision.choices):
            token[number, place + 1] = tokens.setdefault((kind + source, label), len(tokens) + 1)
            if not source:
                logit[number, place] = labels.setdefault((kind, label), len(labels))
    step[-1] = step[-2] + 1
    kinds: dict[str, list[str]] = {}
    for kind, label in labels:
        kinds.setdefault(kind, []).append(label)
    return ControllerSteps(step, token, logit, valid, anchor, len(tokens), kinds)


def _source(decision: Decision) -> str:
    """Which layer a skip connection comes from, ``layer_J``; "" for any other decision."""
    match = _SKIP.match(decision.name)
    if match is None or decision.choices not in SKIPS:
        return ""
    return match["word"] + match["source"]
