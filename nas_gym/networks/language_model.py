"""`LanguageModel`: an embedding, layers of a recurrent cell, and a decoder, with dropout.

Dropout is that of AWD-LSTM (Merity et al. 2018, https://arxiv.org/abs/1708.02182): of whole words
in the embedding, of the layers' inputs, states and outputs with one mask for all steps, and of
single weights between states.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, NamedTuple

from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.errors import require
from nas_gym.networks.base import ChildNetwork, NetworkSettings, TokenShape
from nas_gym.networks.recurrent import Generators, RecurrentCell, State, random_mask
from nas_gym.settings import NonNegative, Share, Size, settings


@settings
class LanguageModelSettings(NetworkSettings):
    """Settings of the layers around a recurrent cell in a language model."""

    width_setting = "units"

    units: Size = 200
    """Size of every state of the cell."""
    layers: Annotated[int, Ge(1), Le(16)] = 1
    """Number of layers of the cell."""
    embedding: Size | None = None
    """Size of a word's vector; default: that of a state."""
    tied: bool = True
    """Decode by the vectors of the embedding (Press & Wolf 2017), instead of by others."""
    decoder_bias: bool = False
    """Add a bias to the logits of each word."""
    dropout_embedding: Share = 0.0
    """Chance that a word is dropped from a whole batch."""
    dropout_input: Share = 0.0
    """Dropout of the first layer's input."""
    dropout_hidden: Share = 0.0
    """Dropout of the states inside a cell, and between layers."""
    dropout_output: Share = 0.0
    """Dropout of the last layer's output."""
    weight_drop: Share = 0.0
    """Dropout of the weights that are applied to states."""
    init_range: NonNegative = 0.05
    """All weights begin uniformly between minus this and this."""

    def __post_init__(self) -> None:
        same = self.embedding in (None, self.units)
        says = f"embedding: tied to the decoder it has {self.units} units, got {self.embedding}"
        require(same or not self.tied, f"{says}; leave it out, or take tied=False")


class Output(NamedTuple):
    """The output of a language model for T steps; of K members, (T, K, B, ...)."""

    logits: Tensor  # (T, B, V)
    states: list[State]  # one a layer
    raw: Tensor  # (T, B, H), the last layer's output
    dropped: Tensor  # the same after dropout


class LanguageModel(ChildNetwork):
    """Words (T, B) int64 in, logits of each next word (T, B, V) out.

    ``make_cell`` makes a layer of an input size and a number of units.
    """

    settings_type = LanguageModelSettings
    shape_type = TokenShape

    def __init__(
        self,
        make_cell: Callable[[int, int], RecurrentCell],
        shape: TokenShape,
        settings: LanguageModelSettings,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.generators: Generators = (None,)
        """Of each member of a fused network, whose parameters and states are (K, ...)."""
        width = settings.embedding or settings.units
        self.embedding = nn.Embedding(shape.vocabulary, width)
        sizes = [width, *[settings.units] * settings.layers]
        cells = [make_cell(*pair) for pair in pairwise(sizes)]
        for cell in cells:
            cell.weight_drop = settings.weight_drop
        self.layers = nn.ModuleList(cells)
        self.decoder = nn.Linear(settings.units, shape.vocabulary, bias=settings.decoder_bias)
        if settings.tied:
            self.decoder.weight = self.embedding.weight
        for weight in self.parameters():
            nn.init.uniform_(weight, -settings.init_range, settings.init_range)
        if self.decoder.bias is not None:
            nn.init.zeros_(self.decoder.bias)

    @property
    def cells(self) -> list[RecurrentCell]:
        """The cell of each layer."""
        return [cell for cell in self.layers if isinstance(cell, RecurrentCell)]

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x).logits

    def run(self, words: Tensor, states: list[State] | None = None) -> Output:
        """Return the outputs for words (T, B), from states on; default: from zeros."""
        settings, after = self.settings, []
        vectors = self._embedded(words)
        vectors = self._dropped(vectors, settings.dropout_input)
        for number, layer in enumerate(self.layers):
            if number:
                vectors = self._dropped(vectors, settings.dropout_hidden)
            mask = self._mask((words.shape[1], settings.units), settings.dropout_hidden)
            vectors, state = layer(vectors, None if states is None else states[number], mask)
            after.append(state)
        dropped = self._dropped(vectors, settings.dropout_output)
        return Output(self._decoded(dropped), after, vectors, dropped)

    def _embedded(self, words: Tensor) -> Tensor:
        """Return words (T, B) as vectors (T, B, W); of K members, (T, K, B, W)."""
        weight = self._known_words()
        if weight.ndim == 2:
            return F.embedding(words, weight)
        side_by_side: Tensor = F.embedding(words, weight.movedim(0, 1).flatten(1))
        vectors: Tensor = side_by_side.unflatten(2, (len(weight), -1))
        return vectors.movedim(2, 1)

    def _decoded(self, outputs: Tensor) -> Tensor:
        weight, bias = self.decoder.weight, self.decoder.bias
        if weight.ndim == 2:
            return F.linear(outputs, weight, bias)
        logits: Tensor = outputs @ weight.mT
        return logits if bias is None else logits + bias.unsqueeze(-2)

    def _mask(self, shape: tuple[int, ...], dropout: float) -> Tensor | None:
        """Return a mask whose mean is 1; None outside of training, and without dropout."""
        if not self.training or dropout == 0:
            return None
        return random_mask(self.embedding.weight, shape, dropout, self.generators)

    def _known_words(self) -> Tensor:
        weight = self.embedding.weight
        mask = self._mask((weight.shape[-2], 1), self.settings.dropout_embedding)
        return weight if mask is None else weight * mask

    def _dropped(self, vectors: Tensor, dropout: float) -> Tensor:
        """Return (T, B, K) vectors under dropout that is the same in every step."""
        mask = self._mask(tuple(vectors.shape[-2:]), dropout)
        return vectors if mask is None else vectors * mask
