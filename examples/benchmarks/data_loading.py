"""How long do images take, and how much memory? Prints ratios against bare decoding.

    python examples/benchmarks/data_loading.py                   # 10,000 JPEG files
    python examples/benchmarks/data_loading.py --images 2000
    python examples/benchmarks/data_loading.py --mode large      # 20,000 of 224 pixels, 4 GB
    python examples/benchmarks/data_loading.py --mode large --images 4000 --gigabytes 0.9

It makes a folder of JPEG files of 256 to 512 pixels a side. Each figure is of its own process:

- bare: Pillow opens, decodes and scales each file, as many threads as there are CPUs;
- first start: `load_dataset` of a folder that no cache knows;
- second start: the same again, from the cache;
- memory: growth of the resident memory at its peak while a folder is loaded, and while it is loaded
  and an epoch of batches of 8 is made of it on the CPU, less that of 40 images, over the bytes of
  the images as they are kept.

With ``--mode large``, the process may have so many gigabytes: a memory control group counts all
that it holds where one can be made (as root), and its peak is printed; elsewhere its heap is
limited, and its peak resident memory is printed. It loads the folder, whose files are little larger
than the images as they are kept, and trains an epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from nas_gym import TrainingSettings, load_dataset
from nas_gym.outside.processes import available_cpus
from nas_gym.training.tasks.images import ImageClassification

CLASSES = 4
FEW = 40
"""Images of the data set whose memory is the baseline."""


def make_folder(folder: Path, number: int, sides: tuple[int, int] = (256, 512)) -> None:
    """Write JPEG files with sides from a range: smooth shapes with the grain of a camera."""
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)

    def write(place: int) -> None:
        rng = np.random.default_rng(place)
        width, height = (int(side) for side in rng.integers(*sides, size=2, endpoint=True))
        shapes = Image.fromarray(rng.integers(256, size=(8, 8, 3), dtype=np.uint8))
        pixels = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        grain = rng.integers(-12, 13, size=pixels.shape)
        image = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
        image.save(folder / str(place % CLASSES) / f"{place}.jpg", quality=90)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(number)))


def bare(folder: Path, size: int) -> None:
    """Decode and scale every file with Pillow alone, on all CPUs."""

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)

    with ThreadPoolExecutor(available_cpus()) as pool:
        for _ in pool.map(decode, sorted(folder.rglob("*.jpg"))):
            pass


def load(folder: Path, size: int) -> None:
    """Load the folder."""
    assert len(load_dataset(folder, size).images)


def use(folder: Path, size: int) -> None:
    """Load the folder, and take an epoch of batches and one of the validation split."""
    dataset, settings = load_dataset(folder, size), TrainingSettings(batch_size=8)
    task = ImageClassification(dataset, settings, torch.device("cpu"))
    for _ in task.batches(torch.Generator().manual_seed(0)):
        pass
    task.validation.batch(torch.arange(2))


def train(folder: Path, size: int) -> None:
    """Load the folder, and train a small network for an epoch."""
    dataset, settings = load_dataset(folder, size), TrainingSettings(batch_size=64)
    task = ImageClassification(dataset, settings, torch.device("cpu"))
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(8, CLASSES)),
    )
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    for images, labels in task.batches(torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()


def group_of_memory(most: int) -> Path | None:
    """Return a new control group of at most so many bytes, or None where none can be made."""
    for root, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = Path("/sys/fs/cgroup", root, f"nas_gym-{os.getpid()}")
        with suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(most))
            except OSError:
                folder.rmdir()
                continue
            return folder
    return None


def measured(
    step: Callable[[Path, int], None], folder: Path, size: int, cache: Path, *within: str
) -> tuple[float, int, int]:
    """Return seconds, peak resident bytes and their growth of a step in a process of its own.

    ``within`` is the option that limits the process, or the command that does.
    """
    command = [sys.executable, __file__, "--step", step.__name__, str(folder), str(size)]
    command = [*command, *within] if within[:1] == ("--heap",) else [*within, *command]
    environment = {**os.environ, "NAS_GYM_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak, growth = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak, growth


def run_step(name: str, folder: Path, size: int, most: int | None) -> None:
    """Do one step in this process, and print what `measured` returns."""
    if most is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports is forgotten
    before = resident("VmRSS")
    started = time.perf_counter()
    {"bare": bare, "load": load, "use": use, "train": train}[name](folder, size)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resident("VmHWM"), resident("VmHWM") - before]))


def resident(field: str) -> int:
    """Return the resident bytes of this process (VmRSS), or their peak (VmHWM), from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def compare(work: Path, number: int, size: int) -> None:
    """Print the time of both starts and the memory, over bare decoding and the images' bytes."""
    folder, few = work / "images", work / "few"
    make_folder(folder, number)
    make_folder(few, FEW)
    once, *_ = measured(bare, folder, size, work / "none")
    first, _, first_growth = measured(load, folder, size, work / "cache")
    second, *_ = measured(load, folder, size, work / "cache")
    *_, load_base = measured(load, few, size, work / "cache")
    *_, used_growth = measured(use, folder, size, work / "cache")
    *_, use_base = measured(use, few, size, work / "cache")
    kept = number * size * size * 3
    print(f"{number:,} JPEG files to {size}x{size}: {kept / 1e6:,.0f} MB as they are kept")
    print(f"bare decoding on all CPUs    {once:7.2f} s  {1000 * once / number:.2f} ms an image")
    print(f"first start                  {first:7.2f} s  {first / once:.2f} of bare (at most 1.5)")
    print(f"second start                 {second:7.2f} s  (at most 2 s for 10,000)")
    print(f"memory of the first loading  {(first_growth - load_base) / kept:7.2f} of the images")
    print(
        f"memory of loading and use    {(used_growth - use_base) / kept:7.2f} of the images (1.3)"
    )


def large(work: Path, number: int, size: int, most: int) -> None:
    """Print that a data set of that size is loaded and trained on in so many bytes."""
    folder, cache = work / "images", work / "cache"
    make_folder(folder, number, (size, size + 32))
    group = group_of_memory(most)
    how = f"{'a control group' if group else 'a heap'} of at most {most / 1e9:g} GB"
    within = ["--heap", str(most)]
    if group:
        within = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    print(f"{number:,} images of {size} pixels, {number * size * size * 3 / 1e9:.2f} GB, in {how}")
    for name in ("first", "second"):
        seconds, peak, _ = measured(train, folder, size, cache, *within)
        print(f"{name} start and an epoch: {seconds:.0f} s, at most {peak / 1e9:.2f} GB resident")
    if group:
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            with suppress(OSError):
                print(f"{name}: {int((group / name).read_text()) / 1e9:.2f} GB, files included")
        group.rmdir()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=["ratios", "large"], default="ratios")
    parser.add_argument("--images", type=int, help="default: 10,000, and 20,000 for large")
    parser.add_argument("--size", type=int, help="pixels; default: 32, and 224 for large")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of large; default: 4")
    parser.add_argument("--heap", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, folder, size = options.step
        run_step(name, Path(folder), int(size), options.heap)
        return
    is_large = options.mode == "large"
    with tempfile.TemporaryDirectory(prefix="nas_gym-") as made:
        images = options.images or (20_000 if is_large else 10_000)
        size = options.size or (224 if is_large else 32)
        if is_large:
            large(Path(made), images, size, int(options.gigabytes * 1e9))
        else:
            compare(Path(made), images, size)


if __name__ == "__main__":
    main()
