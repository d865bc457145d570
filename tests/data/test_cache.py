"""The cache of decoded images: what is read from it, what is not, and how large it becomes."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_gym import InvalidSettings
from nas_gym.data import cache
from nas_gym.data.cache import FACTS, PIXELS, cache_folder, decoded_images
from nas_gym.data.dataset import Dataset, Images, InvalidDataset
from nas_gym.data.decoding import read_images
from nas_gym.outside.files import PART, is_locked, lock
from nas_gym.workers.sharing import Share

SIZE = 6
BYTES = 4 * SIZE * SIZE * 3


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_GYM_CACHE", str(tmp_path / "cache"))


def pictures(folder: Path, number: int = 4) -> list[Path]:
    """Files of noise, the first of them an animation."""
    rng = np.random.default_rng(number)
    frames = [Image.fromarray(rng.integers(256, size=(9, 7, 3), dtype=np.uint8)) for _ in "ab"]
    folder.mkdir(exist_ok=True)
    for place in range(1, number):
        pixels = rng.integers(256, size=(8 + place, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    frames[0].save(folder / "0.webp", save_all=True, append_images=frames[1:], lossless=True)
    return sorted(folder.iterdir())


def read(paths: list[Path]) -> tuple[Images, dict[str, int]]:
    skipped: Counter[str] = Counter()
    return decoded_images(paths, SIZE, skipped), dict(skipped)


def entries() -> list[Path]:
    return sorted(cache_folder().iterdir())


def refuse(*_: object) -> None:
    raise AssertionError("an image was decoded")


def test_the_second_reading_decodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "images")
    images, skipped = read(paths)
    assert skipped == {".webp: all but the first frame": 1}
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0
    monkeypatch.setattr(cache, "read_images", refuse)
    again, skipped_again = read(paths)
    np.testing.assert_array_equal(again, images)
    assert skipped_again == skipped
    assert {path.name for path in entries()[0].iterdir()} == {PIXELS, FACTS}


def test_what_is_in_memory_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = pictures(tmp_path / "images")
    mapped = read(paths)
    monkeypatch.setenv("NAS_GYM_CACHE_GB", "0")
    images, skipped = read(paths)
    assert type(images) is np.ndarray
    np.testing.assert_array_equal(images, mapped[0])
    assert skipped == mapped[1]


def rewritten(path: Path) -> None:
    Image.new("RGB", (5, 5), "red").save(path)


def touched(path: Path) -> None:
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("change", [rewritten, touched])
def test_a_changed_file_is_read_again(change: Callable[[Path], None], tmp_path: Path) -> None:
    paths = pictures(tmp_path / "images")
    read(paths)
    change(paths[1])
    images, _ = read(paths)
    assert len(entries()) == 2
    if change is rewritten:
        assert (images[1] == (255, 0, 0)).all()


def flipped(entry: Path) -> None:
    content = bytearray((entry / PIXELS).read_bytes())
    content[-7] ^= 1
    (entry / PIXELS).write_bytes(content)


def truncated(entry: Path) -> None:
    content = (entry / PIXELS).read_bytes()
    (entry / PIXELS).write_bytes(content[:-50])


def other_shape(entry: Path) -> None:
    np.save(entry / PIXELS, np.zeros((4, SIZE, SIZE, 1), np.uint8))


def unpickled(*_: object) -> None:
    raise AssertionError("something was unpickled")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[()]]:
        return unpickled, ()


def a_pickle(entry: Path) -> None:
    (entry / PIXELS).write_bytes(pickle.dumps(Trap()))


def an_array_of_pickles(entry: Path) -> None:
    np.save(entry / PIXELS, np.array([Trap()]), allow_pickle=True)


def no_facts(entry: Path) -> None:
    (entry / FACTS).unlink()


def other_facts(entry: Path) -> None:
    (entry / FACTS).write_text('{"skipped": [], "checksum": 3}')


def a_pipe(entry: Path) -> None:
    (entry / PIXELS).unlink()
    os.mkfifo(entry / PIXELS)


def a_link(entry: Path) -> None:
    (entry / PIXELS).rename(entry.parent.parent / "outside.npy")
    (entry / PIXELS).symlink_to(entry.parent.parent / "outside.npy")


def a_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("no folder")


@pytest.mark.parametrize(
    "damage",
    [
        *(flipped, truncated, other_shape, a_pickle, an_array_of_pickles),
        *(no_facts, other_facts, a_pipe, a_link),
    ],
)
def test_a_damaged_or_foreign_cache_is_decoded_again(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "images")
    before = np.array(read(paths)[0])
    (entry,) = entries()
    damage(entry)
    np.testing.assert_array_equal(read(paths)[0], before)
    assert entries() == [entry]
    monkeypatch.setattr(cache, "read_images", refuse)
    np.testing.assert_array_equal(read(paths)[0], before)


def test_a_file_in_the_place_of_the_folder_is_replaced(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "images")
    before = np.array(read(paths)[0])
    a_file(entries()[0])
    np.testing.assert_array_equal(read(paths)[0], before)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_cannot_be_written_leaves_nothing(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    paths = pictures(tmp_path / "images")
    with monkeypatch.context() as patch:
        patch.setattr(cache, "json", type("", (), {"dumps": fail}))
        if isinstance(failure, OSError):
            images, skipped = read(paths)
            assert type(images) is np.ndarray
            assert skipped == {".webp: all but the first frame": 1}
        else:
            with pytest.raises(KeyboardInterrupt):
                read(paths)
    assert entries() == []


def test_a_broken_image_leaves_nothing(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "images")
    paths[2].write_bytes(b"no image")
    with pytest.raises(InvalidDataset, match=r"2\.png cannot be read"):
        read(paths)
    assert entries() == []


def test_the_least_recently_used_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [pictures(tmp_path / f"images-{number}") for number in range(3)]
    read(folders[0])
    size = sum(file.stat().st_size for file in entries()[0].iterdir())
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{2.5 * size / 1e9:.9f}")
    read(folders[1])
    for age, entry in enumerate(entries()):
        os.utime(entry, (age, age))
    read(folders[0])  # it is used, which makes the other one the older
    mapped, _ = read(folders[2])
    assert len(entries()) == 2
    monkeypatch.setattr(cache, "read_images", refuse)
    read(folders[0])
    np.testing.assert_array_equal(read(folders[2])[0], mapped)
    with pytest.raises(AssertionError, match="was decoded"):
        read(folders[1])


def test_what_a_dead_process_left_is_removed_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cache_folder() / f"{PART}x"
    left.mkdir(parents=True)
    (left / PIXELS).write_bytes(bytes(10 * BYTES))
    os.utime(left, (0, 0))
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{4 * BYTES / 1e9:.9f}")
    read(pictures(tmp_path / "images"))
    assert not left.exists()


def test_what_another_process_is_writing_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "images")
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{10 * BYTES / 1e9:.9f}")
    part = cache_folder() / f"{PART}x"
    part.mkdir(parents=True)
    with open(part / PIXELS, "xb") as file:
        lock(file)
        file.write(bytes(10 * BYTES))
        file.flush()
        os.utime(part, (0, 0))
        read(paths)
        assert (part / PIXELS).exists()
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{4 * BYTES / 1e9:.9f}")
    read(pictures(tmp_path / "others", 3))
    assert not part.exists()  # its process has ended


def test_what_is_being_decoded_here_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[bool] = []

    def watched(*args: Any) -> Iterator[Any]:
        states.extend(is_locked(entry / PIXELS) for entry in entries())
        yield from read_images(*args)

    monkeypatch.setattr(cache, "read_images", watched)
    read(pictures(tmp_path / "images"))
    assert states == [True]
    assert [is_locked(entry / PIXELS) for entry in entries()] == [False]


def test_what_another_process_removes_meanwhile_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [pictures(tmp_path / f"images-{number}") for number in range(3)]
    read(folders[0])
    (entry,) = entries()

    def removed(folder: Path) -> bool:
        if folder == entry:
            shutil.rmtree(folder)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_symlink", removed)
        assert isinstance(read(folders[1])[0], np.memmap)
    sizes = {cache_folder() / ("0" * 32): 10 * BYTES, entries()[0]: BYTES}
    monkeypatch.setattr(cache, "_sizes", lambda _: dict(sizes))
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{4 * BYTES / 1e9:.9f}")
    assert isinstance(read(folders[2])[0], np.memmap)


def test_what_another_process_wrote_first_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "images")
    written = cache._written

    def beaten(*args: Any) -> None:
        written(*args)
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(cache, "_written", beaten)
    images, skipped = read(paths)
    assert isinstance(images, np.memmap)
    assert skipped == {".webp: all but the first frame": 1}


def test_other_folders_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [cache_folder() / name for name in ("photos", "0" * 32, f"{PART}run", "1" * 32)]
    for other in others:
        other.mkdir(parents=True)
        (other / PIXELS).write_bytes(bytes(10 * BYTES))
        (other / "more").touch()
        os.utime(other, (0, 0))
    (others[0] / "more").unlink()
    monkeypatch.setenv("NAS_GYM_CACHE_GB", f"{2 * BYTES / 1e9:.9f}")
    read(pictures(tmp_path / "images"))
    assert all((other / PIXELS).exists() for other in others)


def test_more_than_cache_and_memory_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "images")
    monkeypatch.setenv("NAS_GYM_CACHE_GB", "0")
    monkeypatch.setattr(cache, "available_memory", lambda: BYTES - 1)
    with pytest.raises(InvalidDataset, match=r"^image_size: 4 images of 6 pixels .*NAS_GYM_CACHE"):
        read(paths)
    monkeypatch.setattr(cache, "available_memory", lambda: BYTES)
    assert len(read(paths)[0]) == 4


@pytest.mark.parametrize("given", ["much", "-1", "1e999", "nan"])
def test_a_limit_that_is_no_number_is_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_GYM_CACHE_GB", given)
    with pytest.raises(InvalidSettings, match=f"NAS_GYM_CACHE_GB: .*'{given}'"):
        read(pictures(tmp_path / "images"))


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAS_GYM_CACHE", str(tmp_path / "file" / "cache"))
    assert len(read(pictures(tmp_path / "images"))[0]) == 4


def test_other_processes_map_the_same_file(tmp_path: Path) -> None:
    images, _ = read(pictures(tmp_path / "images"))
    share = Share([images, images[1:]])
    whole, part = share.load()
    share.close()
    assert isinstance(whole, np.memmap)
    assert isinstance(images, np.memmap)
    assert os.path.samefile(str(whole.filename), str(images.filename))
    np.testing.assert_array_equal(whole, images)
    np.testing.assert_array_equal(part, images[1:])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux opens a file that is removed")
def test_other_processes_map_a_file_that_was_removed(tmp_path: Path) -> None:
    images, _ = read(pictures(tmp_path / "images"))
    before = Share(images)
    shutil.rmtree(cache_folder())
    for share in (before, Share(images)):
        np.testing.assert_array_equal(share.load(), images)
        share.close()


def test_a_data_set_is_pickled_such_that_processes_share_its_images(tmp_path: Path) -> None:
    images, _ = read(pictures(tmp_path / "images"))
    number = np.arange(len(images))
    dataset = Dataset("noise", images, number, tuple("abcd"), True, number, number, number)
    apart: list[pickle.PickleBuffer] = []  # as Ray keeps arrays
    pickle.dumps(dataset, protocol=5, buffer_callback=apart.append)
    assert images.nbytes in [each.raw().nbytes for each in apart]
    share = Share([dataset, np.asarray(images)[::-1]])
    shared, backwards = share.load()
    share.close()
    assert isinstance(shared.images, np.memmap)
    np.testing.assert_array_equal(shared.images, images)
    np.testing.assert_array_equal(backwards, images[::-1])
