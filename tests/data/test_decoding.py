"""Images in parallel: their order, how far threads run ahead, and failures."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_gym.data import decoding
from nas_gym.data.dataset import InvalidDataset
from nas_gym.data.decoding import AHEAD, read_images, tried_images
from nas_gym.outside.processes import available_cpus


def test_results_keep_their_order_however_long_each_takes() -> None:
    others_done = threading.Event()

    def double(number: int) -> int:
        if number == 0:
            assert others_done.wait(10)  # the first to begin is the last to end
        elif number == AHEAD:
            others_done.set()
        return 2 * number

    if available_cpus() == 1:
        pytest.skip("one CPU, one thread")
    numbers = range(3 * AHEAD)
    assert list(decoding._in_threads(double, numbers)) == [2 * number for number in numbers]


def test_threads_do_not_run_further_ahead_than_that() -> None:
    begun: list[int] = []
    results = decoding._in_threads(begun.append, range(10 * AHEAD))
    for _ in range(3):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= AHEAD + 3


def test_a_failure_ends_the_rest() -> None:
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(decoding._in_threads(fail, range(10 * AHEAD)))
    assert len(begun) <= AHEAD + 1


def test_broken_images_are_named_up_to_ten(tmp_path: Path) -> None:
    paths = [tmp_path / f"{place}.png" for place in range(20)]
    for path in paths:
        Image.new("RGB", (4, 4)).save(path)
    for broken in (17, 5, 11):
        paths[broken].write_bytes(b"no image")
    names = r"3 images cannot be read; .*5\.png \(it is no BMP.*\); .*/11\.png .*/17\.png "
    with pytest.raises(InvalidDataset, match=names):
        list(read_images(paths, (4, 4), Counter()))
    for path in paths:
        path.write_bytes(b"no image")
    with pytest.raises(InvalidDataset, match=r"10 or more images cannot.*/9\.png") as error:
        list(read_images(paths, (4, 4), Counter()))
    assert "10.png" not in str(error.value)


def test_warnings_of_threads_name_their_images(tmp_path: Path) -> None:
    truncated = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12"
    paths = [tmp_path / f"{place}.jpg" for place in range(12)]
    for place, path in enumerate(paths):
        Image.new("RGB", (4, 4)).save(path, exif=truncated if place % 4 == 3 else b"")
    with pytest.warns(UserWarning, match="Corrupt EXIF data") as caught:
        list(read_images(paths, (4, 4), Counter()))
    named = {str(each.message).split(":")[1].split("/")[-1] for each in caught}
    assert named == {"3.jpg", "7.jpg", "11.jpg"}


def test_a_bomb_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (40, 40)).save(tmp_path / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (found,) = tried_images([tmp_path / "0.png"], (4, 4))
    assert "0.png cannot be read" in str(found)
    assert "decompression bomb" in str(found)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_large_jpeg_is_decoded_at_a_smaller_scale_without_a_visible_change(
    mode: str, turned: bool, tmp_path: Path
) -> None:
    rows, columns = np.mgrid[:600, :800] / 100
    waves = [127 + 120 * np.sin(rows * a + columns * b) for a, b in ((1, 2), (3, 1), (2, 3))]
    image = Image.fromarray(np.stack(waves, -1).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image.save(tmp_path / "0.jpg", quality=95, exif=exif)
    image.save(tmp_path / "0.tif", exif=exif)  # which is decoded as it is
    read = tried_images([tmp_path / "0.jpg", tmp_path / "0.tif"], (32, 32))
    small, exact = (np.asarray(each).astype(int) for each in read)
    assert np.abs(small - exact).mean() < 2
    assert np.ptp(exact) > 150
