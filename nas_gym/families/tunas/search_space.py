"""TuNAS's three search spaces (Bender et al. 2020, https://arxiv.org/abs/2008.06120, section 4).

Released code: https://github.com/google-research/google-research, tunas/mobile_search_space_v3.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nas_gym.architecture import InvalidArchitecture
from nas_gym.errors import choices_hint
from nas_gym.families.tunas.architecture import Bottleneck, Row, TuNASArchitecture, rows_of
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision
from nas_gym.settings import validated

Variant: TypeAlias = Literal["proxylessnas", "proxylessnas_enlarged", "mobilenet_v3_like"]
MULTIPLIERS = (0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)
KEEP, ZERO = "keep", "zero"
KERNELS = ("3", "5", "7")
WIDTHS = ("filters", "features")
"""How the names of decisions about filters end."""
Parts: TypeAlias = tuple[
    int, int | None, tuple[int, ...], tuple[tuple[Bottleneck | None, ...], ...]
]
"""Kernels of the stem and of the separable convolution, filters, and stages."""


@dataclass(frozen=True)
class Spec:
    """Parts of one of the three search spaces."""

    form: str
    filters: tuple[int, ...]
    searched: bool
    """True if the filters are multiplied, by one of `MULTIPLIERS` each."""
    layers: tuple[int, ...]
    """Of each stage."""
    expansions: tuple[str, ...]


_PROXYLESS = (4, 4, 4, 4, 4, 1)
SPECS: Mapping[str, Spec] = {
    "proxylessnas": Spec(
        "relu", (32, 16, 32, 40, 80, 96, 192, 320, 1280), False, _PROXYLESS, ("3", "6")
    ),
    "proxylessnas_enlarged": Spec(
        "relu", (16, 16, 16, 32, 64, 128, 256, 512, 1024), True, _PROXYLESS, ("3", "6")
    ),
    "mobilenet_v3_like": Spec(
        "mobilenet-v3",
        (16, 16, 32, 64, 128, 256, 512, 1024),
        True,
        (4, 4, 4, 4, 4),
        ("1", "2", "3", "4", "5", "6"),
    ),
}


def scaled(filters: int, multiplier: float) -> int:
    """Return the filters times a multiplier, rounded to a multiple of 8."""
    return max(8, int(filters * multiplier / 8 + 0.5) * 8)


class TuNASSearchSpace(SearchSpace[TuNASArchitecture]):
    """Kernel, expansion and presence of each layer, and the filters of each stage.

    Args:
        variant: "proxylessnas" (58 decisions, fixed filters), "proxylessnas_enlarged" (67), or
            "mobilenet_v3_like" (86; squeeze-and-excitation and the stem are searched for, too).
    """

    architecture_type = TuNASArchitecture

    @validated
    def __init__(self, variant: Variant = "proxylessnas") -> None:
        self.spec = SPECS[variant]
        super().__init__(f"TuNAS {variant}", list(self._decided()))

    def _decided(self) -> Iterator[Decision]:
        """Yield the decisions from the image to the classifier."""
        spec, is_v3 = self.spec, self.spec.form == "mobilenet-v3"
        yield from self._widths("stem/filters", 0)
        if is_v3:
            yield Decision("stem/kernel", ("3", "5"))
            yield Decision("stem/separable", (KEEP, ZERO))
        else:
            yield from self._widths("stem/separable/filters", 1)
        when = {"stem/separable": [KEEP]} if is_v3 else {}
        yield Decision("stem/separable/kernel", KERNELS, when)
        for stage, layers in enumerate(spec.layers, start=1):
            yield from self._widths(f"stage_{stage}/filters", stage + (0 if is_v3 else 1))
            for layer in range(1, layers + 1):
                yield from self._layer(f"stage_{stage}/layer_{layer}", layer > 1)
        yield from self._widths("head/filters", len(spec.layers) + (1 if is_v3 else 2))
        if is_v3:
            yield from self._widths("head/features", len(spec.layers) + 2)

    def _widths(self, name: str, place: int) -> Iterator[Decision]:
        """Yield the decision about filters, if they are searched for."""
        if self.spec.searched:
            filters = {scaled(self.spec.filters[place], each) for each in MULTIPLIERS}
            yield Decision(name, tuple(map(str, sorted(filters))))

    def _layer(self, name: str, optional: bool) -> Iterator[Decision]:
        if optional:
            yield Decision(name, (KEEP, ZERO))
        when = {name: [KEEP]} if optional else {}
        yield Decision(f"{name}/kernel", KERNELS, when)
        yield Decision(f"{name}/expansion", self.spec.expansions, when)
        if self.spec.form == "mobilenet-v3":
            yield Decision(f"{name}/squeeze", ("false", "true"), when)

    def _decode(self, choices: list[int]) -> TuNASArchitecture:
        return self.of_labels(self.made(choices))

    def of_labels(self, made: Mapping[str, str]) -> TuNASArchitecture:
        """Return the architecture of labels by the names of decisions."""
        return TuNASArchitecture(self.spec.form, *self._parts(made))

    def sketch(self, prefix: Choices) -> list[Row]:
        """Return the layers that are decided, for drawings."""
        made = self.made(prefix)
        rows = rows_of(self.spec.form, *self._parts(made))
        if "stem/separable/kernel" in made or made.get("stem/separable") == ZERO:
            return rows
        has_first = self.spec.form == "relu" or "stem/kernel" in made
        return rows[:1] if has_first else []

    def _parts(self, made: Mapping[str, str]) -> Parts:
        """Return kernels, filters and stages of the labels by decision, as far as there are."""
        filters, stages = list(self.spec.filters), []
        if self.spec.searched:
            filters = [int(made[name]) for name in made if name.endswith(WIDTHS)]
        for stage, layers in enumerate(self.spec.layers, start=1):
            names = [f"stage_{stage}/layer_{layer}" for layer in range(1, layers + 1)]
            decided = [name for name in names if self._is_decided(name, made)]
            stages.append(tuple(_bottleneck(name, made) for name in decided))
        has_separable = made.get("stem/separable") != ZERO
        separable = int(made.get("stem/separable/kernel", 0)) if has_separable else 0
        return int(made.get("stem/kernel", 3)), separable or None, tuple(filters), tuple(stages)

    def _is_decided(self, name: str, made: Mapping[str, str]) -> bool:
        last = "squeeze" if self.spec.form == "mobilenet-v3" else "expansion"
        return made.get(name) == ZERO or f"{name}/{last}" in made

    def _encode(self, architecture: TuNASArchitecture) -> list[int]:
        labels = self._labels(architecture)
        choices = []
        for name, valid in ((each.name, each.choices) for each in self.decisions):
            label = labels.get(name, valid[0])
            if label not in valid:
                hint = choices_hint(label, valid)
                raise InvalidArchitecture(f"{name}: {label} is not in {self.name}; {hint}")
            choices.append(valid.index(label))
        if self._decode(choices) != architecture:
            raise InvalidArchitecture(
                f"it is not in {self.name}; expected the form {self.spec.form!r}, "
                f"{' + '.join(map(str, self.spec.layers))} layers, and its filters"
            )
        return choices

    def _labels(self, architecture: TuNASArchitecture) -> dict[str, str]:
        """Return the labels of an architecture's choices by decision."""
        names = [each.name for each in self.decisions if each.name.endswith(WIDTHS)]
        labels = dict(zip(names, map(str, architecture.filters), strict=False))
        labels["stem/kernel"] = str(architecture.kernel)
        labels["stem/separable"] = KEEP if architecture.separable else ZERO
        if architecture.separable:
            labels["stem/separable/kernel"] = str(architecture.separable)
        for stage, layers in enumerate(architecture.stages, start=1):
            for place, layer in enumerate(layers, start=1):
                name = f"stage_{stage}/layer_{place}"
                labels[name] = KEEP if layer else ZERO
                for field, value in vars(layer).items() if layer else ():
                    labels[f"{name}/{field}"] = str(value).lower()
        return labels


def _bottleneck(name: str, made: Mapping[str, str]) -> Bottleneck | None:
    """Return a layer that is decided."""
    if made.get(name) == ZERO:
        return None
    squeeze = made.get(f"{name}/squeeze") == "true"
    return Bottleneck(int(made[f"{name}/kernel"]), int(made[f"{name}/expansion"]), squeeze)
