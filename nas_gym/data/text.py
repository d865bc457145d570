"""`TextDataset`: texts as streams of words or characters, in three parts. No torch here."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.cache import digest_of_files
from nas_gym.data.dataset import InvalidDataset
from nas_gym.data.loading import data_folder, is_folder, path_of
from nas_gym.data.npz import open_regular, read_at_most
from nas_gym.outside.json_text import short_name
from nas_gym.settings import Size, validated

Level = Literal["word", "character"]
Stream = NDArray[np.int64]
PARTS = {"train": ("train",), "validation": ("valid", "validation", "val"), "test": ("test",)}
"""The names that the files of the three parts end in, before ``.txt``."""
HELD_OUT = 0.1
"""Share of a text without parts that becomes its validation split, and its test split."""
UNKNOWN, END = "<unk>", "<eos>"
"""Signs for a word outside the vocabulary, and for the end of a line."""
MOST_BYTES = 2**31


@dataclass(frozen=True, eq=False)
class TextDataset:
    """Three streams of words, or of characters, as numbers of a vocabulary."""

    task: ClassVar[str] = "nas_gym.training.tasks.language:LanguageModelling"

    name: str
    level: Level
    vocabulary: tuple[str, ...]
    train: Stream = field(repr=False)
    """(n,) int64, in [0, size of the vocabulary)."""
    validation: Stream = field(repr=False)
    test: Stream = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """Digest of everything that training sees."""
        state = hashlib.blake2b(repr((self.level, self.vocabulary)).encode(), digest_size=16)
        for stream in (self.train, self.validation, self.test):
            state.update(repr(stream.shape).encode())
            state.update(stream.data)
        return state.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Return the facts that say whether the text was read as it was meant."""
        streams = (self.train, self.validation, self.test)
        return {
            "level": self.level,
            "vocabulary": len(self.vocabulary),
            "split": [len(stream) for stream in streams],
        }


@validated
def load_text(
    dataset: str | Path = "pydoc", level: Level = "word", vocabulary: Size | None = None
) -> TextDataset:
    """Load texts by name, or from files.

    Words are what spaces and lines separate, and the end of a line is a word: Penn Treebank's form.

    Args:
        dataset: "pydoc", the pages on Python's language that ship with Python (PSF licence), whose
            text differs between its versions; "ptb", ``ptb.train.txt``, ``ptb.valid.txt`` and
            ``ptb.test.txt`` in the data folder; a text file, whose last tenth is the test split and
            whose tenth before that is the validation split; or a folder with three files whose
            names end in ``train.txt``, ``valid.txt`` and ``test.txt``.
        level: What is modelled.
        vocabulary: Number of the most frequent training words to know, "<unk>" for others among
            them; default: all.

    Raises:
        InvalidSettings: an argument is not valid.
        InvalidDataset: there is no such text, it cannot be read, or a part is too short.
    """
    name = str(dataset)
    return _loaded(name, level, vocabulary, digest_of_files(_files(name).values()))


@cache
def _loaded(dataset: str, level: Level, vocabulary: int | None, state: str) -> TextDataset:
    streams = {part: split_text(text, level) for part, text in _texts(dataset).items()}
    for part, stream in streams.items():
        if len(stream) < 2:
            raise InvalidDataset(
                f"dataset: {short_name(dataset)} has {len(stream)} {level}s in its {part} part; a "
                "model of the next one needs two"
            )
    known = _vocabulary(streams, vocabulary)
    number = {word: place for place, word in enumerate(known)}
    other = number.get(UNKNOWN, 0)
    parts = {
        part: np.array([number.get(word, other) for word in stream], dtype=np.int64)
        for part, stream in streams.items()
    }
    return TextDataset(dataset, level, known, **parts)


def split_text(text: str, level: Level) -> list[str]:
    """Return a text as words, with "<eos>" at the end of each line, or as characters."""
    if level == "character":
        return list(text)
    return [word for line in text.splitlines() for word in (*line.split(), END)]


def _vocabulary(streams: Mapping[str, Sequence[str]], most: int | None) -> tuple[str, ...]:
    """Return the words to know, the most frequent first; of equals, the one that comes first."""
    counts = Counter(streams["train"])
    everywhere = counts.keys() >= {word for stream in streams.values() for word in stream}
    if everywhere and (most is None or len(counts) <= most):
        return tuple(word for word, _ in counts.most_common())
    counts.pop(UNKNOWN, None)
    return (UNKNOWN, *(word for word, _ in counts.most_common(most and most - 1)))


def _texts(dataset: str) -> dict[str, str]:
    """Return the text of each part."""
    if dataset == "pydoc":
        return _cut(_pydoc())
    texts = {part: read_text(path) for part, path in _files(dataset).items()}
    return texts if len(texts) > 1 else _cut(*texts.values())


def _files(dataset: str) -> dict[str, Path]:
    """Return the file of each part, or the one that is cut into parts; none for "pydoc"."""
    path = path_of(dataset)
    if dataset == "pydoc":
        return {}
    if dataset == "ptb":
        return {part: data_folder() / f"ptb.{names[0]}.txt" for part, names in PARTS.items()}
    if is_folder(dataset):
        return {part: _only(path, names) for part, names in PARTS.items()}
    if path.suffix == ".txt":
        return {"whole": path}
    raise InvalidDataset(
        f"dataset: {short_name(dataset)!r} is no text's name, no .txt file and no folder; valid "
        "choices: 'pydoc', 'ptb', a path ending in .txt, or a folder of train.txt, valid.txt and "
        "test.txt"
    )


def _only(folder: Path, names: Sequence[str]) -> Path:
    """Return the one file of a part that is not hidden."""
    named = [path for name in names for path in sorted(folder.glob(f"*{name}.txt"))]
    found = [path for path in named if not path.name.startswith(".")]
    if len(found) != 1:
        raise InvalidDataset(
            f"dataset: {folder} has {len(found)} files whose names end in {names[0]}.txt; one of "
            "each of train.txt, valid.txt and test.txt is needed"
        )
    return found[0]


def read_text(path: Path) -> str:
    """Return the content of a text file, whose lines end in a single character.

    Raises:
        InvalidDataset: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            text = read_at_most(file, MOST_BYTES).decode("utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, ValueError) as error:
        raise InvalidDataset(
            f"dataset: {path} cannot be read ({error}); expected a text in UTF-8 there"
        ) from error


def _cut(text: str) -> dict[str, str]:
    """Cut a text without parts, at the end of a line, or else of a word, if one is near."""
    ends = [int(len(text) * share) for share in (1 - 2 * HELD_OUT, 1 - HELD_OUT)]
    near = int(len(text) * HELD_OUT / 2)  # further away, a part would be empty, or most of the text
    first, second = (
        text.rfind("\n", end - near, end) + 1 or text.rfind(" ", end - near, end) + 1 or end
        for end in ends
    )
    return {"train": text[:first], "validation": text[first:second], "test": text[second:]}


def _pydoc() -> str:
    """Return Python's own pages on its language, in lower case, with punctuation apart."""
    from pydoc_data.topics import topics

    pages = "\n".join(topics[name] for name in sorted(topics))
    return "\n".join(
        " ".join(words) for line in pages.splitlines() if (words := _WORDS.findall(line.lower()))
    )


_WORDS = re.compile(r"\w+|[^\w\s]")
