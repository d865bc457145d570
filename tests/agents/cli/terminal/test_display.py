"""What a search shows on a terminal."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

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


def test_names_of_classes_are_no_codes(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(SearchSettings("nas_gym/NASNet-v0"))
    display.on_dataset(split_of("pets", source(("[/red]", "d\x1b[1mog"))))
    assert "classes: [/red] 5, d\\x1b[1mog 5" in capsys.readouterr().err


TIMES = {"seconds": 1.0, "elapsed": 1.0}


class Terminal(io.StringIO):
    """A terminal of 100 columns."""

    def isatty(self) -> bool:
        return True


def after(*accuracies: float) -> Any:
    """The last child of a search."""
    progress = Progress()
    for accuracy in accuracies:
        outcome = {"status": "diverged", "message": "", "cached": False}
        progress.add({"accuracy": accuracy, "reward": accuracy, **outcome, **TIMES})
    return SimpleNamespace(progress=progress)


def test_a_terminal_shows_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")
    with Display(SearchSettings("nas_gym/NASNet-v0", episodes=4)) as display:
        for number in (1, 2):
            display.on_child(after(*[0.5] * number))
        display.on_notice("d\x1b[1mog")
        display.on_final_epoch(1, 2)
    shown = terminal.getvalue()
    assert "\r2/4 children" in shown
    assert "last 2: 50.00%  [" in shown
    assert "] |##" in shown
    assert "d\\x1b[1mog\n" in shown
    assert shown.rstrip().rpartition("\r")[2].startswith("final training: epoch 1/2  [")


def test_the_last_ten_are_compared_with_the_first_ten(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(SearchSettings("nas_gym/NASNet-v0", episodes=25))
    lines = {}
    for child in range(1, 26):
        display.on_child(after(*([0.5] * 12 + [0.75] * 13)[:child]))
        lines[child] = capsys.readouterr().err.strip()
    assert lines[18].endswith("last 10: 65.00%")
    assert lines[20].endswith("last 10: 70.00% (+20.0 points over the first 10)")
    assert lines[24].endswith("last 10: 75.00% (+25.0 points over the first 10)")


def test_children_trained_in_part_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    child = after(*[0.5] * 11)
    line = {"status": "ok", "accuracy": 0.25, "reward": 0.25, "cached": False, "seconds": 1.0}
    for _ in range(15):
        child.progress.add({**line, "elapsed": 1.0, "epochs": 1, "partial": True})
    Display(SearchSettings("nas_gym/NASNet-v0", episodes=26)).on_child(child)
    assert capsys.readouterr().err.strip().endswith("last 10: 50.00%")


def test_a_child_that_was_trained_in_part_is_no_best_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = Display(SearchSettings("nas_gym/NASNet-v0", "asha", episodes=4))
    child = after()
    outcome = {"status": "ok", "message": "", "cached": False, "partial": True}
    child.progress.add({"accuracy": 0.5, "reward": 0.5, "epochs": 1, **outcome, **TIMES})
    display.on_child(child)
    assert capsys.readouterr().err.endswith("1/4 children  none trained to the end yet\n")
