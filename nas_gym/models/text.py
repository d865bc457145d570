"""`TextModel`: a trained language model with its vocabulary."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.architecture import Architecture
from nas_gym.data.text import UNKNOWN, Level, split_text
from nas_gym.errors import require
from nas_gym.models.model import Names
from nas_gym.networks import TokenShape
from nas_gym.networks.costs import evaluating
from nas_gym.networks.language_model import LanguageModel
from nas_gym.networks.recurrent import State
from nas_gym.outside.json_text import short_name
from nas_gym.settings import settings

STEPS = 1000
"""Words that `TextModel` reads at a time."""


@settings
class TextFacts:
    """The content of a text model's ``model.json``: everything but weights and architecture."""

    vocabulary: Names
    """Words or characters, in the order of the logits."""
    level: Level
    network: dict[str, Any] = Field(default_factory=dict)
    """Settings of the network, the skeleton around the architecture."""
    data: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    version: Annotated[int, Ge(1), Le(1)] = 1
    """Version of this form."""

    @property
    def shape(self) -> TokenShape:
        """Shape of the network's input, and size of its output."""
        return TokenShape(len(self.vocabulary))


class TextModel(nn.Module):
    """A trained language model: words (B,) int64 in, logits of the next ones (B, V) out.

    The states of its layers go in beside the words and come out beside the logits, one tensor
    (B, H) each; `initial_states` are those before a text. `next_words` and `measure` read a text.
    """

    network: LanguageModel

    def __init__(
        self, network: LanguageModel, architecture: Architecture, facts: TextFacts
    ) -> None:
        super().__init__()
        self.network, self.architecture, self.facts = network, architecture, facts
        self._numbers = {word: number for number, word in enumerate(facts.vocabulary)}

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Words or characters, in the order of the logits."""
        return self.facts.vocabulary

    def initial_states(self, batch: int) -> tuple[Tensor, ...]:
        """Return the states before a text, zeros (B, H) each."""
        return tuple(part for cell in self.network.cells for part in cell.initial_state(batch))

    def forward(self, words: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (B, V), and the states after the words."""
        by_layer, rest = [], list(states)
        for cell in self.network.cells:
            by_layer.append(tuple(rest[: cell.num_states]))
            rest = rest[cell.num_states :]
        output = self.network.run(words[None], by_layer)
        return output.logits[0], *(part for state in output.states for part in state)

    def encode(self, text: str) -> Tensor:
        """Return a text as numbers of the vocabulary, (n,) int64.

        Raises:
            InvalidSettings: the text is empty, or has a word that the model does not know, and the
                vocabulary no "<unk>".
        """
        parts = split_text(text, self.facts.level)
        require(bool(parts), "text: it is empty")
        other = self._numbers.get(UNKNOWN)
        for part in parts if other is None else ():
            known = part in self._numbers
            says = f"text: {short_name(part)!r} is not in the vocabulary, which has no {UNKNOWN}"
            require(known, says)
        numbers = [self._numbers.get(part, other) for part in parts]
        return torch.tensor(numbers, device=self.network.embedding.weight.device)

    @torch.inference_mode()
    def next_words(self, text: str, top: int = 5) -> dict[str, float]:
        """Return the most probable words after a text, with their probabilities.

        A text of words goes on in its last line, unless that line has ended.

        Raises:
            InvalidSettings: as `encode`.
        """
        words = self.encode(text)
        if self.facts.level == "word" and text.splitlines() == f"{text}\n".splitlines():
            words = words[:-1]  # the sign for the end of that line
        require(len(words) > 0, "text: it is empty")
        logits, _ = self._read(words[:, None])
        exact = logits.cpu().double()  # Apple's GPUs have no float64
        shares = exact.softmax(dim=-1).topk(min(top, len(self.vocabulary)))
        pairs = zip(shares.indices.tolist(), shares.values.tolist(), strict=True)
        return {self.vocabulary[number]: share for number, share in pairs}

    @torch.inference_mode()
    def measure(self, text: str) -> float:
        """Return the perplexity of a text of words, or the bits per character.

        Every word but the first counts.

        Raises:
            InvalidSettings: as `encode`, or the text has one word alone.
        """
        words = self.encode(text)
        require(len(words) > 1, "text: a model of the next word needs two to be measured")
        _, nats = self._read(words[:, None])
        mean = nats / (len(words) - 1)
        return math.exp(min(mean, 700.0)) if self.facts.level == "word" else mean / math.log(2)

    def _read(self, words: Tensor) -> tuple[Tensor, float]:
        """Return the logits after words (n, 1), and the sum of their cross-entropies, in nats."""
        states: list[State] | None = None
        total, last = 0.0, None
        with evaluating(self):
            for part in words.split(STEPS):
                output = self.network.run(part, states)
                states, logits = output.states, output.logits[:, 0].float()
                before = logits[:-1] if last is None else torch.cat([last, logits[:-1]])
                targets = part[1:, 0] if last is None else part[:, 0]
                total += F.cross_entropy(before, targets, reduction="sum").item()
                last = logits[-1:]
        assert last is not None
        return last[0], total
