"""What a search shows on a terminal."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from nas_agents.cli.display import MOST_CLASSES, Display, described
from nas_agents.search.settings import SearchSettings
from nas_gym.data.dataset import Source, split_of


def source(classes: tuple[str, ...], **more: object) -> Source:
    """Five images of each class."""
    labels = np.repeat(np.arange(len(classes)), 5)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Source(images, labels, classes, **more)  # type: ignore[arg-type]


def test_a_data_set_is_described_before_the_training() -> None:
    dataset = split_of("pets", source(("cat", "dog"), skipped=("2 .gif", "1 .txt")))
    assert described(dataset) == [
        "data: pets, 10 images of 1x1x1; 6 to train, 2 to validate, 2 to test; "
        "always the most frequent class: 50.00%",
        "classes: cat 5, dog 5",
        "skipped: 2 .gif, 1 .txt",
    ]


def test_many_classes_are_counted() -> None:
    dataset = split_of("many", source(tuple(map(str, range(MOST_CLASSES + 1)))))
    assert described(dataset)[1] == "classes: 21 of 5 to 5 images"


def test_names_of_classes_are_no_markup() -> None:
    display = Display(SearchSettings("nas_gym/NASNet-v0"))
    display.console = Console(file=io.StringIO())
    display.dataset(split_of("pets", source(("[/red]", "d\x1b[1mog"))))
    shown = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "classes: [/red] 5, d\\x1b[1mog 5" in shown
