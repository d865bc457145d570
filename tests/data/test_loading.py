"""`load_dataset`: what it reads, how it splits, and what it says about broken data."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import gymnasium as gym
import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image

from nas_gym import InvalidSettings, NASGymError
from nas_gym.data import folder, loading
from nas_gym.data.cache import cache_folder
from nas_gym.data.dataset import Dataset, InvalidDataset
from nas_gym.data.loading import NAMES, data_folder, load_dataset
from nas_gym.data.text import load_text


def load(dataset: str, image_size: int | None = None) -> Dataset:
    """As `load_dataset`, without the memory of what was loaded before."""
    loading._LOADED.clear()
    return load_dataset(dataset, image_size)


def check_split(dataset: Dataset) -> None:
    """The parts are disjoint, sorted, and together all images; training has every class."""
    parts = (dataset.train, dataset.validation, dataset.test)
    together = np.concatenate(parts)
    assert len(together) == len(dataset.images) == len(dataset.labels)
    np.testing.assert_array_equal(np.sort(together), np.arange(len(together)))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    np.testing.assert_array_equal(
        np.unique(dataset.labels[dataset.train]), np.unique(dataset.labels)
    )
    assert dataset.images.dtype == np.uint8
    assert dataset.images.ndim == 4
    assert dataset.labels.dtype == np.int64
    assert dataset.labels.max() < len(dataset.classes)


def shares(dataset: Dataset, part: np.ndarray) -> np.ndarray:
    """Of every class, the share of its images that are in this part."""
    number = len(dataset.classes)
    counts = np.bincount(dataset.labels[part], minlength=number)
    share: np.ndarray = counts / np.bincount(dataset.labels, minlength=number)
    return share


def test_digits() -> None:
    digits = load("digits")
    check_split(digits)
    assert digits.images.shape == (1797, 8, 8, 1)
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1079, 359, 359)
    assert digits.classes == tuple("0123456789")
    assert not digits.flips
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert len(np.unique(digits.images)) == 17
    for part, share in ((digits.train, 0.6), (digits.validation, 0.2), (digits.test, 0.2)):
        np.testing.assert_allclose(shares(digits, part), share, atol=0.01)


def test_the_split_is_the_same_whenever_it_is_made() -> None:
    first, second = load("digits"), load("digits")
    assert first is not second
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
    assert first.digest == second.digest


def test_another_seed_draws_another_split() -> None:
    fixed, other = load_dataset("digits"), load_dataset("digits", split_seed=1)
    check_split(other)
    assert [len(other.train), len(other.validation), len(other.test)] == [1079, 359, 359]
    shared = np.intersect1d(fixed.test, other.test)
    assert 40 < len(shared) < 110  # a fifth of 359, as of any two draws
    assert load_dataset("digits", split_seed=0).digest == fixed.digest != other.digest
    env = gym.make("nas_gym/NASNet-v0", split_seed=1).unwrapped
    assert env.memory.evaluator.dataset.digest == other.digest  # type: ignore[attr-defined]


def test_a_data_set_is_loaded_once() -> None:
    assert load_dataset("digits") is load_dataset("digits")


def test_image_size_scales_every_image() -> None:
    digits, scaled = load("digits"), load("digits", 16)
    assert scaled.images.shape == (1797, 16, 16, 1)
    np.testing.assert_array_equal(scaled.train, digits.train)
    shrunk = scaled.images.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.corrcoef(shrunk.ravel(), digits.images.ravel())[0, 1] > 0.95
    assert scaled.digest != digits.digest


@pytest.mark.parametrize("image_size", [0, -8, 8.0, "8", True])
def test_a_bad_image_size_is_refused(image_size: Any) -> None:
    with pytest.raises(InvalidSettings, match=f"image_size: .*{image_size!r}"):
        load("digits", image_size)


def arrays(channels: int | None = 3, test: bool = True) -> dict[str, Any]:
    """Images of four classes as the arrays of an .npz."""
    rng = np.random.default_rng(0)
    shape = (6, 5) if channels is None else (6, 5, channels)
    made: dict[str, Any] = {
        "x_train": rng.integers(256, size=(40, *shape), dtype=np.uint8),
        "y_train": np.arange(40, dtype=np.uint8) % 4,
        "x_test": rng.integers(256, size=(12, *shape), dtype=np.uint8),
        "y_test": np.arange(12, dtype=np.int32) % 4,
    }
    return made if test else {name: made[name] for name in ("x_train", "y_train")}


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("test", [True, False])
def test_npz_round_trip(channels: int | None, test: bool, tmp_path: Path) -> None:
    given = arrays(channels, test)
    path = tmp_path / "images.npz"
    np.savez_compressed(path, **given)
    dataset = load(str(path))
    check_split(dataset)
    images = np.concatenate([given[name] for name in given if name[0] == "x"])
    labels = np.concatenate([given[name] for name in given if name[0] == "y"])
    np.testing.assert_array_equal(dataset.images, images.reshape(len(images), 6, 5, -1))
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.classes == ("0", "1", "2", "3")
    assert dataset.flips
    if test:
        np.testing.assert_array_equal(dataset.test, np.arange(40, 52))
        assert (len(dataset.train), len(dataset.validation)) == (32, 8)
    else:
        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 8, 8)
        assert shares(dataset, dataset.test).tolist() == [0.2] * 4


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_npz_images_are_scaled_channel_by_channel(channels: int | None, tmp_path: Path) -> None:
    given = arrays(channels, test=False)
    values = np.arange(10, 10 + (channels or 1), dtype=np.uint8)
    given["x_train"][:] = values if channels else values[0]
    np.savez(tmp_path / "images.npz", **given)
    dataset = load(str(tmp_path / "images.npz"), 4)
    assert dataset.images.shape == (40, 4, 4, channels or 1)
    assert np.abs(dataset.images.astype(int) - values).max() <= 1


def test_npz_scaling_does_not_mix_the_channels(tmp_path: Path) -> None:
    given = arrays(4, test=False)
    given["x_train"][:] = (200, 100, 50, 0)
    np.savez(tmp_path / "images.npz", **given)
    assert load(str(tmp_path / "images.npz"), 4).images[0, 0, 0].tolist() == [200, 100, 50, 0]


def test_npz_may_name_its_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", **arrays(), classes=np.array(["a", "b", "c", "d"]))
    dataset = load(str(tmp_path / "images.npz"))
    assert dataset.classes == ("a", "b", "c", "d")
    np.savez(
        tmp_path / "images.npz", **arrays(), classes=np.array([b"a", b"b", b"c", "ü".encode()])
    )
    assert load(str(tmp_path / "images.npz")).classes == ("a", "b", "c", "ü")


def test_npz_images_may_lie_in_memory_as_matlab_has_them(tmp_path: Path) -> None:
    given = arrays()
    np.savez(tmp_path / "images.npz", **given)
    expected = load(str(tmp_path / "images.npz"))
    other: dict[str, Any] = {name: np.asfortranarray(each) for name, each in given.items()}
    np.savez(tmp_path / "images.npz", **other)
    dataset = load(str(tmp_path / "images.npz"))
    assert dataset.digest == expected.digest
    assert dataset.images.flags.c_contiguous


def broken(**changes: object) -> Callable[[Path], None]:
    """What writes an .npz in which these arrays differ; None leaves one out."""

    def write(path: Path) -> None:
        given: dict[str, Any] = {**arrays(), **changes}
        np.savez(path, **{name: array for name, array in given.items() if array is not None})

    return write


def truncated(path: Path) -> None:
    broken()(path)
    path.write_bytes(path.read_bytes()[:-200])


def damaged(path: Path) -> None:
    np.savez_compressed(path, x_train=np.zeros((40, 32, 32), np.uint8), y_train=np.arange(40) % 4)
    content = bytearray(path.read_bytes())
    content[100:140] = bytes(255 - byte for byte in content[100:140])
    path.write_bytes(content)


def wrong_check_sum(path: Path) -> None:
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[300:310] = bytes(10)
    path.write_bytes(content)


def another_numpy_file(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, arrays()["x_train"])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken(x_train=None), "has the arrays y_train, x_test, y_test; expected x_train, too"),
        (broken(y_train=None), "expected y_train, too"),
        (broken(x_test=None), "expected x_test, too"),
        (broken(y_test=None), "expected y_test, too"),
        (broken(x_train=None, y_train=None), " has the parts test; expected train"),
        (lambda path: np.savez(path, images=np.zeros(3)), " has the arrays images; expected x_tr"),
        (broken(x_val=arrays()["x_test"]), "expected y_val, too"),
        (broken(x_tset=arrays()["x_test"]), "the parts test, train, tset; expected train, and"),
        (broken(x_train=arrays()["x_train"] / 255), ": x_train: expected uint8 .* got float64"),
        (broken(x_train=np.zeros((40, 9), np.uint8)), ": x_train: .* shape"),
        (broken(x_train=np.zeros((0, 6, 5, 3), np.uint8)), ": x_train: .* shape"),
        (
            broken(x_test=np.zeros((12, 3, 6, 5), np.uint8)),
            ": x_test: 5 channels; .* channels last",
        ),
        (broken(x_test=np.zeros((12, 6, 6, 3), np.uint8)), ": x_train and x_test .* unlike shapes"),
        (broken(x_test=np.zeros((12, 6, 5), np.uint8)), ": x_train and x_test .* unlike shapes"),
        (broken(y_train=np.arange(39)), ": y_train: expected 40 integers, got int64 .*39"),
        (broken(y_train=np.zeros((40, 1), int)), ": y_train: expected 40 integers"),
        (broken(y_train=np.zeros(40)), ": y_train: expected 40 integers, got float64"),
        (broken(y_train=np.arange(40) % 4 - 1), ": y_train: labels start at 0, got -1"),
        (broken(y_test=np.arange(11)), ": y_test: expected 12 integers"),
        (broken(classes=np.array(["a", "b"])), ": 2 classes, but labels up to 3"),
        (broken(classes=np.array("abcd")), ": .*classes"),
        (broken(classes=np.array(["a", "b", "a", "c"])), ": 2 classes have the name 'a'"),
        (broken(classes=np.array([b"a", b"b", b"c", b"\xff"])), ": classes: .*save them as texts"),
        (broken(y_train=np.array([None] * 40, dtype=object)), "cannot be read"),
        (broken(y_train=np.arange(40) % 4 * 10**13), ": .*label"),
        (truncated, "cannot be read"),
        (damaged, "cannot be read"),
        (wrong_check_sum, "cannot be read"),
        (another_numpy_file, ""),
        (lambda path: path.write_bytes(b"no zip at all"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(pickle.dumps(arrays())), "cannot be read"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_a_broken_npz_is_refused_by_name(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "images.npz"
    write(path)
    with pytest.raises(InvalidDataset, match=f"^dataset: {re.escape(str(path))}.*{message}"):
        load(str(path))


def make_images(
    folder: Path, classes: tuple[str, ...] = ("cat", "dog"), number: int = 5, shade: int = 0
) -> dict[str, tuple[int, int, int]]:
    """Pictures of one colour a class, of unlike sizes, formats and modes; gives the colours."""
    colours = {}
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        colours[name] = (200 - 60 * index, 100 + shade, 40 * index)
        for picture in range(number):
            image = Image.new("RGB", (20 + 7 * picture, 30), colours[name])
            mode = ("RGB", "RGBA", "P")[picture % 3]
            converted = image.convert(mode, palette=Image.Palette.ADAPTIVE)
            converted.save(folder / name / f"{picture}.png")
    return colours


def test_a_folder_of_images(tmp_path: Path) -> None:
    colours = make_images(tmp_path, ("cat", "dog", "owl"))
    dataset = load(str(tmp_path))
    check_split(dataset)
    assert dataset.images.shape == (15, 32, 32, 3)
    assert dataset.classes == ("cat", "dog", "owl")
    assert dataset.flips
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [9, 3, 3]
    for image, label in zip(dataset.images, dataset.labels, strict=True):
        assert (image == colours[dataset.classes[label]]).all()


def test_images_are_cropped_to_their_middle_and_scaled(tmp_path: Path) -> None:
    make_images(tmp_path)
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "cat" / "0.png")
    dataset = load(str(tmp_path), 20)
    assert dataset.images.shape == (10, 20, 20, 3)
    assert (dataset.images[0][:, 2:-2] == 255).all()


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    make_images(tmp_path / "train", number=8)
    make_images(tmp_path / "test", number=3, shade=1)
    dataset = load(str(tmp_path))
    check_split(dataset)
    np.testing.assert_array_equal(dataset.test, np.arange(16, 22))
    assert (len(dataset.train), len(dataset.validation)) == (12, 4)
    assert dataset.classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("test", [True, False])
def test_a_folder_with_a_validation_split(name: str, test: bool, tmp_path: Path) -> None:
    make_images(tmp_path / "train", number=8)
    make_images(tmp_path / name, number=3, shade=1)
    if test:
        make_images(tmp_path / "test", number=2, shade=2)
    dataset = load(str(tmp_path))
    check_split(dataset)
    assert dataset.classes == ("cat", "dog")
    np.testing.assert_array_equal(dataset.validation, np.arange(16, 22))
    assert (len(dataset.train), len(dataset.test)) == ((16, 4) if test else (12, 4))


def test_parts_are_known_whatever_their_case(tmp_path: Path) -> None:
    for shade, part in enumerate(("Train", "VAL", "Test")):
        make_images(tmp_path / part, shade=shade)
    dataset = load(str(tmp_path))
    assert dataset.classes == ("cat", "dog")
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [10, 10, 10]


def test_parts_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    for shade, part in enumerate(("train", "Train")):
        make_images(tmp_path / part, shade=shade)
    with pytest.raises(InvalidDataset, match="are the same part; their names differ in case only"):
        load(str(tmp_path))


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(InvalidDataset, match="Permission denied"):
        load(str(tmp_path))


def test_images_beside_the_classes_are_counted_as_skipped(tmp_path: Path) -> None:
    make_images(tmp_path)
    for name in ("a.png", "b.PNG", "README.md"):
        (tmp_path / name).touch()
    assert load(str(tmp_path)).skipped == ("2 .png beside the classes",)


def test_images_beside_parts_or_in_linked_folders_are_counted_as_skipped(tmp_path: Path) -> None:
    data = tmp_path / "wrapped" / "data"
    make_images(data / "train")
    make_images(data / "test", shade=1)
    (tmp_path / "wrapped" / "a.png").touch()
    (data / "b.png").touch()
    inside = next(each for each in (data / "train").iterdir() if each.is_dir())
    (inside / "more").symlink_to(tmp_path)
    skipped = ("1 .png beside the only folder", "1 .png beside the parts", "1 links to folders")
    assert load(str(tmp_path / "wrapped")).skipped == skipped


@pytest.mark.parametrize(
    "parts", [("train", "val", "valid"), ("val", "test"), ("train", "cats"), ("test",)]
)
def test_other_parts_are_refused_by_name(parts: tuple[str, ...], tmp_path: Path) -> None:
    for shade, part in enumerate(parts):
        make_images(tmp_path / part, shade=shade)
    says = f"has the parts {', '.join(sorted(parts))}; expected .* is a class, rename its folder$"
    with pytest.raises(InvalidDataset, match=says):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_an_npz_with_a_validation_split(name: str, tmp_path: Path) -> None:
    given = arrays()
    validation = {f"x_{name}": given["x_test"] // 2, f"y_{name}": given["y_test"]}
    np.savez(tmp_path / "images.npz", **given, **validation)
    dataset = load(str(tmp_path / "images.npz"))
    check_split(dataset)
    np.testing.assert_array_equal(dataset.images[dataset.validation], validation[f"x_{name}"])
    np.testing.assert_array_equal(dataset.images[dataset.test], given["x_test"])
    np.testing.assert_array_equal(dataset.images[dataset.train], given["x_train"])


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_split_that_holds_training_images_is_refused(part: str, tmp_path: Path) -> None:
    given = arrays()
    given |= {f"x_{part}": given["x_train"][:12], f"y_{part}": given["y_train"][:12]}
    np.savez(tmp_path / "images.npz", **given)
    message = r"12 of the 12 (validation|test) images are training images, too"
    with pytest.raises(InvalidDataset, match=message):
        load(str(tmp_path / "images.npz"))


def test_labels_from_1_are_refused(tmp_path: Path) -> None:
    labels = {"y_train": arrays()["y_train"] + 1, "y_test": arrays()["y_test"] + 1}
    np.savez(tmp_path / "images.npz", **{**arrays(), **labels})
    with pytest.raises(InvalidDataset, match=r"class '0'.* numbered from 0 without a gap"):
        load(str(tmp_path / "images.npz"))


def test_a_test_class_without_training_images_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", **{**arrays(), "y_test": np.arange(12) % 5})
    with pytest.raises(InvalidDataset, match=r"fewer than 2 training images of the class '4'"):
        load(str(tmp_path / "images.npz"))


def test_the_summary_says_what_was_read_and_what_was_not(tmp_path: Path) -> None:
    make_images(tmp_path, number=5)
    make_images(tmp_path, ("owl",), number=15)
    for name in ("a.gif", "b.GIF", "notes.txt"):
        (tmp_path / "cat" / name).touch()
    assert load(str(tmp_path), 8).summary() == {
        "images": 25,
        "shape": [8, 8, 3],
        "split": [15, 5, 5],
        "classes": {"cat": 5, "dog": 5, "owl": 15},
        "skipped": ["2 .gif", "1 .txt"],
        "shared": [],
        "chosen": {
            "size": "8x8, as image_size says",
            "split": "20% of each class to test and 25% of the rest, at most 5,000, to validate, "
            "drawn with split_seed=0, since it has no split of its own",
        },
        "majority": 0.6,
    }


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((), "20% of each class to test and 25% of the rest"),
        (("train", "test"), "25% of the training images, .* its test split is its own"),
        (("train", "val"), "20% of each class to test, .* its validation split is its own"),
        (("train", "val", "test"), "^the data set's own$"),
    ],
)
def test_the_summary_says_where_the_split_is_from(
    parts: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    for shade, part in enumerate(parts or ("",)):
        make_images(tmp_path / part, shade=shade)
    assert re.search(says, load(str(tmp_path), 8).chosen["split"])


def test_more_images_than_the_memory_has_are_read_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images(tmp_path)
    monkeypatch.setattr(folder, "available_memory", lambda: 10**7)
    mapped = f"0.0 MB, mapped from the cache in {cache_folder()}"
    assert load(str(tmp_path), 8).chosen["memory"] == mapped
    monkeypatch.setattr(folder, "available_memory", lambda: 10 * 8 * 8 * 3)
    assert "batches are read from the cache" in load(str(tmp_path), 8).chosen["memory"]
    monkeypatch.setenv("NAS_GYM_CACHE_GB", "0")
    assert "in memory, since the cache" in load(str(tmp_path), 8).chosen["memory"]


def test_few_images_that_two_splits_share_are_named(tmp_path: Path) -> None:
    given = arrays()
    given["x_test"][0] = given["x_train"][0]
    np.savez(tmp_path / "images.npz", **given)
    says = ["1 of the 12 test images are training images, too"]
    assert load(str(tmp_path / "images.npz")).summary()["shared"] == says


def test_what_archives_and_editors_add_is_not_read(tmp_path: Path) -> None:
    make_images(tmp_path / "flowers")
    for hidden in ("__MACOSX", ".ipynb_checkpoints"):
        make_images(tmp_path / hidden)
        make_images(tmp_path / "flowers" / hidden)
        make_images(tmp_path / "flowers" / "cat" / hidden)
    (tmp_path / "flowers" / "cat" / "._0.png").write_bytes(b"a resource fork")
    dataset = load(str(tmp_path))
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.images) == len(load(str(tmp_path / "flowers")).images)
    assert dataset.skipped == ("1 hidden",)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    save = {"save_all": True, "append_images": frames[1:], "lossless": True}
    read = first_image(tmp_path, frames[0], "0.webp", **save)
    np.testing.assert_array_equal(read[0, 0], [255, 0, 0])
    skipped = load(str(tmp_path), 4).skipped
    assert skipped == ("1 .webp: all but the first frame",)


def first_image(folder: Path, image: Image.Image, name: str = "0.png", **save: Any) -> np.ndarray:
    """As the first of a folder's images is read, in 4 x 4 pixels."""
    make_images(folder)
    (folder / "cat" / "0.png").unlink()
    image.save(folder / "cat" / name, **save)
    read: np.ndarray = load(str(folder), 4).images[0]
    return read


@pytest.mark.parametrize(("suffix", "bits"), [("png", 16), ("tif", 16), ("png", 8)])
def test_grey_of_16_bits_keeps_its_range(suffix: str, bits: int, tmp_path: Path) -> None:
    dtype = {8: np.uint8, 16: np.uint16}[bits]
    ramp = np.repeat(np.linspace(0, 2**bits - 1, 4).astype(dtype)[None], 4, axis=0)
    read = first_image(tmp_path, Image.fromarray(ramp), f"0.{suffix}")
    np.testing.assert_array_equal(read[..., 0], [[0, 85, 170, 255]] * 4)


@pytest.mark.parametrize(("mode", "dtype"), [("F", np.float32), ("I", np.int32)])
def test_numbers_without_a_range_are_refused_by_name(
    mode: str, dtype: type, tmp_path: Path
) -> None:
    image = Image.fromarray(np.ones((4, 4), dtype))
    with pytest.raises(
        InvalidDataset, match=rf"0\.tif cannot be read \(mode {mode} has no known range"
    ):
        first_image(tmp_path, image, "0.tif")


def test_an_image_is_turned_as_its_exif_orientation_says(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = 255  # a white row at the top, which is at the right when turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    read = first_image(tmp_path, Image.fromarray(pixels), exif=exif)
    np.testing.assert_array_equal(read, np.rot90(pixels, -1))


def test_a_warning_names_its_image(tmp_path: Path) -> None:
    truncated = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12"
    with pytest.warns(UserWarning, match=r"the image .*0\.jpg: Corrupt EXIF data"):
        first_image(tmp_path, Image.new("RGB", (4, 4)), "0.jpg", exif=truncated)


@pytest.mark.parametrize(("mode", "suffix"), [("RGBA", "png"), ("I;16", "png"), ("RGB", "tif")])
def test_every_mode_and_format_is_turned(mode: str, suffix: str, tmp_path: Path) -> None:
    white: Any = {"RGBA": (255,) * 4, "I;16": 2**16 - 1, "RGB": (255,) * 3}[mode]
    black: Any = {"RGBA": (0, 0, 0, 255), "I;16": 0, "RGB": (0,) * 3}[mode]
    image = Image.new(mode, (4, 4), black)
    for column in range(4):
        image.putpixel((column, 0), white)
    exif = Image.Exif()
    exif[0x0112] = 6
    read = first_image(tmp_path, image, f"0.{suffix}", exif=exif)
    assert (read[:, 3] == 255).all()
    assert (read[:, :3] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str, tmp_path: Path) -> None:
    hidden = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert (first_image(tmp_path, hidden.convert(mode)) == 255).all()


def test_cmyk_is_read_as_its_colours(tmp_path: Path) -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0)).convert("CMYK")
    assert first_image(tmp_path, red, "0.tif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("target", ["dog", ".."])
def test_a_link_to_another_class_is_refused(target: str, tmp_path: Path) -> None:
    make_images(tmp_path / "images")
    (tmp_path / "images" / "linked").symlink_to(
        tmp_path / "images" / target, target_is_directory=True
    )
    with pytest.raises(
        InvalidDataset, match=r"linked holds the images of|holds the images of linked"
    ):
        load(str(tmp_path / "images"))


def test_links_inside_a_class_are_not_followed(tmp_path: Path) -> None:
    make_images(tmp_path)
    (tmp_path / "cat" / "all").symlink_to(tmp_path, target_is_directory=True)
    assert len(load(str(tmp_path)).images) == 10


def test_images_to_classify_are_found_behind_links_once(tmp_path: Path) -> None:
    """Classes may be links, and a link may lead back."""
    make_images(tmp_path / "elsewhere", ("owl",), number=2)
    make_images(tmp_path / "data", ("cat",), number=2)
    (tmp_path / "data" / "owl").symlink_to(tmp_path / "elsewhere" / "owl")
    (tmp_path / "elsewhere" / "owl" / "back").symlink_to(tmp_path / "data")
    (tmp_path / "elsewhere" / "owl" / "again").symlink_to(tmp_path / "data" / "cat")
    found = folder.image_files(tmp_path / "data")
    assert [path.parent.name for path in found] == ["cat", "cat", "owl", "owl"]


def test_names_that_are_no_text_are_refused_before_a_training(tmp_path: Path) -> None:
    """A model's JSON could not name them, and would not be read again."""
    latin = os.fsdecode(b"caf\xe9")
    make_images(tmp_path / "data")
    (tmp_path / "data" / "cat" / latin).touch()
    assert load(str(tmp_path / "data")).skipped == ("1 caf?",)
    make_images(tmp_path / "data", (latin,))
    with pytest.raises(InvalidDataset, match=r"the class 'caf\\udce9', whose .* no text .* rename"):
        load(str(tmp_path / "data"))
    for other in (latin, f"{latin}.npz", f"{latin}.csv"):
        with pytest.raises(InvalidDataset, match=r"'caf\\udce9.* is no text in UTF-8; rename"):
            load(other)
    with pytest.raises(InvalidDataset, match=r"'caf\\udce9.txt' is no text in UTF-8; rename"):
        load_text(f"{latin}.txt")


def test_a_path_is_taken_as_its_name(tmp_path: Path) -> None:
    make_images(tmp_path)
    assert load_dataset(tmp_path) is load_dataset(str(tmp_path))


def test_files_that_changed_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path / "images")
    before = load_dataset(tmp_path / "images")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "images" / "cat" / "new.png")
    assert len(load_dataset(tmp_path / "images").images) == len(before.images) + 1

    images, labels = np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2
    for shade, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        np.savez("own.npz", x_train=images + np.uint8(shade), y_train=labels)
        assert load_dataset("own.npz").images.max() == shade
    np.savez("own.npz", x_train=np.repeat(images, 2, axis=0), y_train=np.repeat(labels, 2))
    assert len(load_dataset("own.npz").images) == 16


def test_train_and_test_of_unlike_classes_are_refused(tmp_path: Path) -> None:
    make_images(tmp_path / "train")
    make_images(tmp_path / "test", ("cat", "owl"))
    with pytest.raises(InvalidDataset, match="the classes cat, dog, test has owl, too, of which"):
        load(str(tmp_path))


def test_a_part_may_lack_a_class(tmp_path: Path) -> None:
    make_images(tmp_path / "train", ("cat", "dog", "owl"))
    make_images(tmp_path / "test", ("cat", "owl"), shade=1)
    dataset = load(str(tmp_path))
    assert dataset.classes == ("cat", "dog", "owl")
    assert dataset.labels[dataset.test].tolist() == [0] * 5 + [2] * 5


def test_training_and_testing_are_parts_where_no_class_is_beside_them(tmp_path: Path) -> None:
    make_images(tmp_path / "mnist" / "training")
    make_images(tmp_path / "mnist" / "Testing", shade=1)
    assert load(str(tmp_path)).classes == ("cat", "dog")
    make_images(tmp_path / "moods", ("resting", "training"))
    assert load(str(tmp_path / "moods")).classes == ("resting", "training")


def test_classes_that_look_like_parts_are_noted(tmp_path: Path) -> None:
    for shade, part in enumerate(("seg_test", "seg_train")):
        make_images(tmp_path / part, shade=shade)
    says = load(str(tmp_path)).chosen["folders"]
    assert says.startswith("each of the classes seg_test, seg_train holds the folders cat, dog; if")


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path, ("cat",))
    with pytest.raises(InvalidDataset, match=r"images of 1 class; .* at least two"):
        load(str(tmp_path))


def test_too_few_images_of_a_class_are_refused(tmp_path: Path) -> None:
    make_images(tmp_path)
    make_images(tmp_path, ("owl",), number=2)
    with pytest.raises(InvalidDataset, match="fewer than 3 training images of the class 'owl'"):
        load(str(tmp_path))


@pytest.mark.parametrize("kept", [0, 60])
def test_a_corrupt_image_is_named(kept: int, tmp_path: Path) -> None:
    make_images(tmp_path)
    path = tmp_path / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidDataset, match=rf"the image {re.escape(str(path))} cannot be read"):
        load(str(tmp_path))


@pytest.mark.parametrize("inside", [[], ["cat", "dog"], ["train", "test"]])
def test_a_folder_without_images_is_refused(inside: list[str], tmp_path: Path) -> None:
    for name in inside:
        (tmp_path / name).mkdir()
    with pytest.raises(InvalidDataset, match=f"^dataset: {re.escape(str(tmp_path))} is no folder"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["cifar-10", "nothing of the kind", "/no/such/folder"])
def test_an_unknown_name_lists_the_valid_ones(name: str) -> None:
    with pytest.raises(InvalidDataset) as error:
        load(name)
    message = str(error.value)
    assert message.startswith(f"dataset: {name!r}")
    for known in NAMES:
        assert repr(known) in message
    assert ".npz" in message


def test_a_misspelt_name_hints_at_the_right_one() -> None:
    with pytest.raises(NASGymError, match="did you mean 'cifar10'"):
        load("cifar-10")


def test_the_data_folder_is_the_environments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("NAS_GYM_DATA")
    assert data_folder() == Path.home() / ".cache" / "nas_gym"


@pytest.mark.parametrize(
    "failure", [URLError("no network"), RuntimeError("Dataset not found or corrupted")]
)
def test_a_known_data_set_that_cannot_be_had_names_the_folder(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "KMNIST", unavailable)
    with pytest.raises(InvalidDataset, match=re.escape(f"'kmnist' is not in {tmp_path}")) as error:
        load("kmnist")
    assert "kmnist.npz" in str(error.value)


def test_a_known_data_set_is_read_from_an_npz_in_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    for name in ("svhn", "fashion-mnist"):
        np.savez(tmp_path / f"{name}.npz", **arrays())
    assert not load("svhn").flips
    assert load("fashion-mnist").flips
    assert load("svhn").name == "svhn"
    np.testing.assert_array_equal(load("svhn").test, np.arange(40, 52))


class FakeTorchvision:
    """Holds its images as torchvision's class of that kind does."""

    def __init__(self, kind: str, number: int) -> None:
        images = np.random.default_rng(number).integers(256, size=(number, 9, 9, 3), dtype=np.uint8)
        labels = np.arange(number) % 3
        self.data: Any = images
        if kind == "cifar10":
            self.targets: Any = labels.tolist()
            self.classes = ["a", "b", "c"]
        elif kind == "mnist":
            self.data, self.targets = torch.from_numpy(images[..., 0]), torch.from_numpy(labels)
        elif kind == "usps":
            self.data, self.targets = images[..., 0], labels.tolist()
        else:
            self.data, self.labels = np.moveaxis(images, -1, 1), labels


@pytest.mark.parametrize(
    ("name", "channels"), [("cifar10", 3), ("mnist", 1), ("usps", 1), ("svhn", 3), ("stl10", 3)]
)
def test_torchvisions_layouts_are_read_alike(
    name: str, channels: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(root: str, download: bool, **part: object) -> FakeTorchvision:
        assert (root, download) == (str(tmp_path), True)
        return FakeTorchvision(name, 30 if part in ({"train": True}, {"split": "train"}) else 9)

    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, name.upper(), make)
    dataset = load(name)
    check_split(dataset)
    expected = [
        np.random.default_rng(n).integers(256, size=(n, 9, 9, 3), dtype=np.uint8) for n in (30, 9)
    ]
    np.testing.assert_array_equal(dataset.images, np.concatenate(expected)[..., :channels])
    np.testing.assert_array_equal(dataset.labels, [*(np.arange(30) % 3), *(np.arange(9) % 3)])
    np.testing.assert_array_equal(dataset.test, np.arange(30, 39))
    assert dataset.classes == (("a", "b", "c") if name == "cifar10" else ("0", "1", "2"))


def test_the_validation_part_of_a_large_data_set_is_5000_images(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    x, y = np.zeros((30_000, 1, 1), np.uint8), np.arange(30_000) % 10
    np.savez(path, x_train=x, y_train=y, x_test=x[:10] + 1, y_test=y[:10])
    dataset = load(str(path))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (25_000, 5000, 10)


def test_cifar10() -> None:
    path = Path(os.environ.get("NAS_GYM_DATA", "~/.cache/nas_gym")).expanduser() / "cifar10.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    dataset = load("cifar10")
    check_split(dataset)
    assert dataset.images.shape == (60_000, 32, 32, 3)
    assert (len(dataset.train), len(dataset.validation)) == (45_000, 5000)
    np.testing.assert_array_equal(dataset.test, np.arange(50_000, 60_000))
    assert dataset.classes[0] == "airplane"
    assert dataset.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert dataset.flips
    assert np.bincount(dataset.labels[dataset.validation]).tolist() == [500] * 10
