"""Assigns the decisions of a search space to an LSTM controller's steps, softmaxes and embeddings.

The assignment follows from the decisions' names and labels:

- The kind of a decision is the last part of its name without its number: ``op`` for
  ``normal/block_2/op_1``, ``edge`` for ``edge 3<-1``. Decisions of one kind share a softmax, in
  which a label stands for the same logit and the same embedding; so a selection among the hidden
  states has as many logits as there are states, whichever of them exist already.
- A decision with the labels of a skip connection (`SKIPS`), named ``layer_I/.../..._J``, connects
  the output of layer J to layer I, or not. All of a layer's form one step of the LSTM, its anchor
  point, as in NAS (Zoph & Le 2017, section 3.3) and in ENAS (Pham et al. 2018, section 2.3): they
  are drawn independently of each other.
- Every other decision has its own step.
- A decision among hidden states, ``CELL/node_3/index_1``, can be scored by attention over these as
  ENAS's released micro search does it. A state's anchor is the step after its block's last
  decision, the first whose output has read the whole block; a cell's inputs have learned vectors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nas_gym.search_spaces import Decision

SKIPS: dict[tuple[str, ...], float] = {("no", "yes"): 1.0, ("not an input", "an input"): 0.5}
"""The labels of ENAS's and of NAS's skip connections, and c of their logits (-c q, c q):
ENAS's released code has (-q, q), and NAS (section 3.3) the probability sigmoid(q)."""
INPUTS = ("h_{i-1}", "h_i")
"""The labels of a cell's inputs."""

_NUMBER = re.compile(r"[\s_]*[\d(][\d\s,<>()-]*$")
_SKIP = re.compile(r"^(?P<word>[^\d/]*)\d+/.*\D(?P<source>\d+)$")


@dataclass(frozen=True)
class ControllerSteps:
    """T decisions of at most A choices in S steps of the LSTM."""

    step: NDArray[np.int64]
    """(T + 1,): the step, from 0, that makes each decision; the last entry is S."""
    token: NDArray[np.int64]
    """(T, A + 1): the embedding of each observation of a decision: 0 if it is not made yet or the
    choice does not exist, otherwise from 1 on."""
    logit: NDArray[np.int64]
    """(T, A): index of each choice's logit among those of all softmaxes; 0 if there is none."""
    valid: NDArray[np.bool_]
    """(T, A): True for choices that a decision has."""
    anchor: NDArray[np.int64]
    """(T, A): input of attention, for choices that it scores: 0 and 1 are learned vectors of a
    cell's inputs, 2 + s is the LSTM's output in step s; otherwise -1."""
    score_scale: NDArray[np.float32]
    """(T, A): factor of attention's score q: -c and c for a skip's "no" and "yes", with c as in
    `SKIPS`; otherwise 1."""
    num_tokens: int
    """Number of embeddings without the first."""
    kinds: dict[str, list[str]]
    """The labels of each kind of softmax, in the order of their logits."""

    @property
    def num_logits(self) -> int:
        """Number of logits of all softmaxes together."""
        return sum(map(len, self.kinds.values()))


def kind_of(decision: Decision) -> str:
    """Return the last part of a decision's name without its number."""
    last = decision.name.rpartition("/")[2]
    return _NUMBER.sub("", last) or last


def controller_steps(
    decisions: Sequence[Decision], shared: bool = True, index_attention: bool = False
) -> ControllerSteps:
    """Assign a search space's decisions, in order, to steps.

    By ``shared``, decisions of one kind share a softmax and their embeddings; otherwise each has
    its own. By ``index_attention``, decisions among hidden states are scored by attention over
    these.
    """
    sizes = [len(decision.choices) for decision in decisions]
    shape = (len(decisions), max(sizes))
    token = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    logit = np.zeros(shape, dtype=np.int64)
    anchor = np.full(shape, -1, dtype=np.int64)
    score_scale = np.ones(shape, dtype=np.float32)
    labels: dict[tuple[str, str], int] = {}  # the logits: (kind, label)
    tokens: dict[tuple[str, str], int] = {}
    ends: dict[str, int] = {}  # the last step of each layer, and of each block

    # The skip connections of a layer share a step.
    points = [_source(each) and each.name.partition("/")[0] for each in decisions]
    advances = [not point or point != before for before, point in pairwise(points)]
    step = np.cumsum([0, *advances, 1])
    for number, decision in enumerate(decisions):
        layer, source = decision.name.partition("/")[0], _source(decision)
        ends[layer] = ends[decision.name.rpartition("/")[0]] = int(step[number])
        kind = kind_of(decision) if shared else decision.name
        selects = index_attention and set(decision.choices) >= set(INPUTS)
        if source:
            anchor[number, :2] = 2 + ends.get(source, 0)
            score_scale[number, :2] = np.array([-1.0, 1.0]) * SKIPS[decision.choices]
        for place, label in enumerate(decision.choices):
            token[number, place + 1] = tokens.setdefault((kind + source, label), len(tokens) + 1)
            if selects:
                block = f"{layer}/{label}"
                anchor[number, place] = 3 + ends[block] if block in ends else INPUTS.index(label)
            elif not source:
                logit[number, place] = labels.setdefault((kind, label), len(labels))
    valid = np.arange(shape[1]) < np.array(sizes)[:, None]
    kinds = {kind: [label for other, label in labels if other == kind] for kind, _ in labels}
    return ControllerSteps(step, token, logit, valid, anchor, score_scale, len(tokens), kinds)


def _source(decision: Decision) -> str:
    """Return the layer a skip connection starts at, ``layer_J``; "" for any other decision."""
    match = _SKIP.match(decision.name)
    return match["word"] + match["source"] if match and decision.choices in SKIPS else ""
