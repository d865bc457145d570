"""What a search shows on a terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from nas_agents.cli.terminal.display import MOST_CLASSES, Display, described
from nas_agents.runs.progress import Progress
from nas_agents.runs.settings import SearchSettings
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
        "split: 20% of each class to test and 25% of the rest, at most 5,000, to validate, drawn "
        "with split_seed=0, since it has no split of its own",
        "skipped: 2 .gif, 1 .txt",
    ]


def test_many_classes_are_counted() -> None:
    dataset = split_of("many", source(tuple(map(str, range(MOST_CLASSES + 1)))))
    assert described(dataset)[1] == "classes: 21 of 5 to 5 images"


def test_names_of_classes_are_no_markup() -> None:
    display = Display(SearchSettings("nas_gym/NASNet-v0"))
    display.console = Console(file=io.StringIO())
    display.on_dataset(split_of("pets", source(("[/red]", "d\x1b[1mog"))))
    shown = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "classes: [/red] 5, d\\x1b[1mog 5" in shown


def test_the_last_ten_are_compared_with_the_first_ten(capsys: pytest.CaptureFixture[str]) -> None:
    progress, display = Progress(), Display(SearchSettings("nas_gym/NASNet-v0", episodes=25))
    lines = {}
    for child in range(1, 26):
        accuracy = 0.5 if child <= 12 else 0.75
        outcome = {"status": "diverged", "message": "", "cached": False}
        times = {"seconds": 1.0, "elapsed": 1.0}
        progress.add({"accuracy": accuracy, "reward": accuracy, **outcome, **times})
        display.on_child(SimpleNamespace(progress=progress))  # type: ignore[arg-type]
        lines[child] = capsys.readouterr().err.strip()
    assert lines[18].endswith("last 10: 65.00%")
    assert lines[20].endswith("last 10: 70.00% (+20.0 points over the first 10)")
    assert lines[24].endswith("last 10: 75.00% (+25.0 points over the first 10)")
