"""`Metric`: what a child is measured by, and the score in [0, 1] that it makes. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_gym.errors import require


@dataclass(frozen=True)
class Metric:
    """A number that says how good a network is.

    Args:
        name: Its name, as records and reports have it.
        lowest: The least value that it can have.
        highest: The largest value; default: none.
        higher_is_better: Its direction.
    """

    name: str
    lowest: float = 0.0
    highest: float = math.inf
    higher_is_better: bool = False

    def __post_init__(self) -> None:
        sound = math.isfinite(self.lowest) and self.lowest < self.highest
        require(sound, f"metric {self.name!r}: no range from {self.lowest} to {self.highest}")

    def score(self, value: float) -> float:
        """Return a value as a number in [0, 1] that is larger where the network is better.

        A bounded metric is scaled to its range. Of an unbounded one, the distance d from the lowest
        value becomes 1 / (1 + d), or 1 minus that where higher is better: 1 / perplexity, for
        instance, whose lowest value is 1.
        """
        if math.isfinite(self.highest):
            share = (value - self.lowest) / (self.highest - self.lowest)
            return share if self.higher_is_better else 1 - share
        near = 1 / (1 + value - self.lowest)
        return 1 - near if self.higher_is_better else near

    def value(self, score: float) -> float:
        """Return the value that has a score; inf where the score is 0 and there is no largest."""
        share = score if self.higher_is_better else 1 - score
        if math.isfinite(self.highest):
            return self.lowest + share * (self.highest - self.lowest)
        near = 1 - score if self.higher_is_better else score
        return math.inf if near <= 0 else self.lowest + 1 / near - 1


ACCURACY = Metric("accuracy", 0.0, 1.0, higher_is_better=True)
"""Its score is its value."""
PERPLEXITY = Metric("perplexity", lowest=1.0)
"""The exponential of the mean cross-entropy of the next word."""
BITS_PER_CHARACTER = Metric("bits_per_character")
"""The mean cross-entropy of the next character, in bits."""
_KNOWN = {each.name: each for each in (ACCURACY, PERPLEXITY, BITS_PER_CHARACTER)}


def shown(score: float, metric: str = "accuracy") -> str:
    """Return a score as people read it: an accuracy in percent, a perplexity as it is."""
    if metric == "accuracy":
        return f"{score:.2%}"
    if metric in _KNOWN:
        return f"{_KNOWN[metric].value(score):,.4g} {metric.replace('_', ' ')}"
    return f"{score:.4f} (score of {metric})"
