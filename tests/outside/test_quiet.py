"""One measures, and all others pause; nobody waits for a process that ended."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

import pytest

from nas_gym import InvalidSettings
from nas_gym.outside.quiet import give_way, quiet, training


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def measure(parent: Connection, folder: str) -> None:
    """What another process does: it measures until it is told to go on."""
    tempfile.tempdir = folder
    parent.send("started")
    with quiet():
        parent.send("measuring")
        parent.recv()
        parent.send("measured")


def test_a_training_pauses_between_two_steps_while_another_process_measures(
    tmp_path: Path,
) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=measure, args=(theirs, str(tmp_path)))
    settled: list[str] = []

    def settle() -> None:
        settled.append("settled")
        ours.send("go on")  # the other process reads it once it measures

    with training():
        process.start()
        assert ours.recv() == "started"
        while not settled:  # steps of a training
            give_way(settle)
        # It goes on when the other has ended its measurement, and not before.
        assert [ours.recv(), ours.recv()] == ["measuring", "measured"]
        give_way(settle)
    process.join()
    assert settled == ["settled"]


def test_measurements_wait_for_steps_and_for_each_other() -> None:
    order: list[str] = []
    training_ends, both_asked = Event(), Event()

    def trains() -> None:
        with training():
            both_asked.set()
            assert training_ends.wait(60)
            order.append("trained")

    def measures(name: str) -> None:
        with quiet():
            order.extend([name, name])

    trainer = Thread(target=trains)
    trainer.start()
    assert both_asked.wait(60)
    measuring = [Thread(target=measures, args=(name,)) for name in "ab"]
    for thread in measuring:
        thread.start()
    training_ends.set()
    for thread in (trainer, *measuring):
        thread.join()
    assert order[0] == "trained"
    assert order[1:] in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


def test_nothing_is_locked_outside_a_training(tmp_path: Path) -> None:
    give_way(lambda: pytest.fail("nothing is under way"))
    assert list(tmp_path.iterdir()) == []


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.getuid()
    (tmp_path / f"nas_gym-{user}").symlink_to(tmp_path)
    with (
        pytest.raises(InvalidSettings, match=r"latency: .* is another user's; .* set TMPDIR"),
        quiet(),
    ):
        pytest.fail("unreachable")
