"""Spoiled files: architectures, data sets, tables, stores, run folders."""

from __future__ import annotations

import io
import json
import math
import pickle
import random
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from examples.benchmarks.fuzzing.values import exotic, spoil_bytes, spoil_json, spoil_text, to_json

FIFO, FOLDER, LOCKED = "a named pipe", "a folder", "a file that nobody may read"
LINK, HARD_LINK = "a link to a file outside", "another name of a file outside"
LINK_TO_FOLDER = "a link to a folder outside"
SPECIAL_CONTENTS = (FIFO, FOLDER, LOCKED, LINK, HARD_LINK, LINK_TO_FOLDER)
Content = bytes | str
"""Of a file, or one of `SPECIAL_CONTENTS`."""
Files = dict[str, Content]


@dataclass(frozen=True)
class Samples:
    """Valid things to spoil."""

    runs: list[Files]
    """Files of run folders."""
    store: bytes
    architectures: list[dict[str, Any]]
    names: list[str]
    """Published architectures."""
    env_ids: list[str]
    agents: list[str]


def architecture_file(rng: random.Random, samples: Samples) -> Content:
    """Return a spoiled architecture's JSON."""
    if rng.random() < 0.04:
        return rng.choice(SPECIAL_CONTENTS)
    text = to_json(spoil_json(rng, rng.choice(samples.architectures))).encode()
    return spoil_bytes(rng, text) if rng.random() < 0.2 else text


def npz(arrays: Mapping[str, Any]) -> bytes:
    """Return an ``.npz`` of arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def spoil_npz(rng: random.Random, data: bytes) -> Content:
    """Return an ``.npz`` with spoiled arrays, headers or archive."""
    how = rng.randrange(8)
    if how == 0:
        return spoil_bytes(rng, data)
    if how == 1:
        return rng.choice(SPECIAL_CONTENTS)
    changed = bytearray(data)
    if how in (2, 3):  # encrypted, or compressed in an unknown way
        for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            at = -1
            while (at := changed.find(magic, at + 1)) >= 0:
                place = at + offset + (2 if how == 3 else 0)
                changed[place : place + 2] = struct.pack("<H", 1 if how == 2 else 99)
        return bytes(changed)
    arrays = dict(np.load(io.BytesIO(data)))
    if not arrays:
        return b""
    name = rng.choice(sorted(arrays))
    if how == 4:
        return _with_header(rng, arrays, name)
    if how == 5:
        del arrays[name]
    else:
        arrays[name] = _spoil_array(rng, arrays[name])
    return npz(arrays)


def _spoil_array(rng: random.Random, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array of another type, shape or content."""
    numbers = array if array.dtype.kind in "iuf" else np.zeros(array.shape)
    others: list[Any] = [
        array[: len(array) // 2] if array.ndim else array[None],
        array[None],
        array[..., 0] if array.ndim else array[None, None],
        np.array(rng.choice((0, -1, 1e20, "a", math.nan, 2**62))),
        np.zeros((0, *array.shape[1:]), array.dtype),
        numbers.astype(np.float64) * rng.choice((-1.0, 1e9, 1e300)),
        numbers.astype(np.int64) + rng.choice((-1, 10**6, 2**40)),
        np.full(array.shape, np.nan),
    ]
    with suppress(ValueError, TypeError), np.errstate(all="ignore"):
        dtypes = ("U3", "f2", "c8", "i8", "u1", "S2", "M8[s]", "?")
        others += [array.astype(rng.choice(dtypes)) for _ in range(3)]
    return np.asarray(rng.choice(others))


def _with_header(rng: random.Random, arrays: Mapping[str, Any], spoiled: str) -> bytes:
    """Return an ``.npz`` of which one array has a header that is garbage or promises 10 TB."""
    shape = rng.choice(("(10995116277760,)", "(1000000, 1000000, 10)", "(-1,)", "(1,) * 3", "()"))
    descr = rng.choice(("|u1", "<f8", "|O", "|V9", "zzz"))
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    if rng.random() < 0.3:
        text = rng.choice(("{", "[" * 200, "{'descr': '|u1'}", "9" * 5_000, "\xff"))
    header = text.ljust(118).encode("latin-1") + b"\n"
    head = b"\x93NUMPY" + rng.choice((b"\x01\0", b"\x09\0")) + struct.pack("<H", len(header))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.save(part, array)
            content = head + header + b"\0" * 100 if name == spoiled else part.getvalue()
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def dataset_npz(rng: random.Random) -> bytes:
    """Return a small valid data set."""
    numbers = np.random.default_rng(rng.randrange(100))
    images = numbers.integers(0, 255, (60, 8, 8, 3)).astype(np.uint8)
    arrays = {"x_train": images, "y_train": np.arange(60) % 3}
    if rng.random() < 0.5:
        arrays |= {"x_test": images[:9], "y_test": np.arange(9) % 3}
    if rng.random() < 0.5:
        arrays["classes"] = np.array(["a", "b", "c"])
    return npz(arrays)


def image_folder(rng: random.Random) -> Files:
    """Return a folder of images, of which some are none."""
    files: Files = {}
    for number in range(rng.choice((1, 6, 12))):
        buffer = io.BytesIO()
        size = rng.choice(((8, 8), (1, 1), (30, 5)))
        Image.new(rng.choice(("RGB", "L", "RGBA")), size).save(buffer, "PNG")
        data: Content = buffer.getvalue()
        if rng.random() < 0.3 and isinstance(data, bytes):
            data = spoil_bytes(rng, data) if rng.random() < 0.8 else rng.choice(SPECIAL_CONTENTS)
        name = rng.choice(("a", "b", "c", "train/a", "val/a", "test/a", "[/red]", "\x1b[31m"))
        files[f"data/{name}/{number}.png"] = data
    return files


def table_npz(rng: random.Random) -> bytes:
    """Return a small table in the form of `nas-gym table build`'s, or of a published one."""
    rows = 4
    numbers = {"accuracy": np.full(rows, 0.5), "seconds": np.ones(rows), "test": np.full(rows, 0.4)}
    if rng.random() < 0.5:
        names = {"module_hash": np.array(["0" * 32] * rows, "S32"), "ops": np.array(["a"] * rows)}
        return npz({**numbers, **names, "val_acc_108ep": numbers["accuracy"]})
    return npz({**numbers, "arch": np.array(["a"] * rows), "facts": np.array("{}")})


def tfrecord(rng: random.Random) -> bytes:
    """Return a NAS-Bench-101 file with a spoiled row."""
    row: list[Any] = ["a" * 32, 108, "0" * 9, "input,conv3x3-bn-relu,output", "CgkJAAAAAAAAS0A="]
    rows = [row, spoil_json(rng, row)]
    texts = [to_json(each).encode() for each in rows]
    data = b"".join(struct.pack("<Q", len(t)) + b"crc1" + t + b"crc2" for t in texts)
    return spoil_bytes(rng, data) if rng.random() < 0.4 else data


def nats_folder(rng: random.Random) -> Files:
    """Return a folder of NATS-Bench's pickles, which are not."""
    record: Any = {"12": {"all_results": {}}, "200": exotic(rng)}
    meta = spoil_json(rng, {"meta_archs": ["a", "b"], "total_archs": 2, "evaluated_indexes": [0]})
    files: Files = {"nats/meta.pickle.pbz2": pickle.dumps(meta)}
    for number in range(2):
        data = pickle.dumps(rng.choice((record, exotic(rng), meta)))
        name = f"nats/{number:06d}.pickle" + rng.choice(("", ".pbz2"))
        files[name] = spoil_bytes(rng, data) if rng.random() < 0.5 else data
    return files


def store_file(rng: random.Random, samples: Samples) -> Content:
    """Return a store with spoiled cells or tables, or something else."""
    how = rng.randrange(10)
    if how == 0:
        return rng.choice((*SPECIAL_CONTENTS, b"", b"SQLite format 3\0", b"garbage" * 100))
    if how == 1:
        return spoil_bytes(rng, samples.store)
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        Path(file.name).write_bytes(samples.store)
        connection = sqlite3.connect(file.name)
        if how in (2, 3):
            connection.execute("DROP TABLE evaluations")
            connection.execute("CREATE TABLE " + rng.choice(("other (a)", "evaluations (key)")))
            if how == 3:  # another program's
                connection.execute("DROP TABLE evaluations_schema")
        else:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(evaluations)")]
            values: list[Any] = [b"\xff\0", "text", "[/red]", "\x1b[31m", None, -1, 1e300, 2**62]
            values += ["[" * 3_000, "9" * 5_000, "{", "NaN", '{"kind": 1}', "a" * 5_000, ":smile:"]
            for _ in range(rng.choice((1, 1, 3))):
                update = f"UPDATE evaluations SET {rng.choice(columns)} = ?"
                with suppress(sqlite3.Error):
                    connection.execute(update, (rng.choice(values),))
        connection.commit()
        connection.close()
        return Path(file.name).read_bytes()


STRANGE = (
    *("part-best_weights.pt", "checkpoint/part-agent.zip", "tensorboard", "checkpoint", "best.png"),
    *("episodes.jsonl.part", "summary.json", "model", "report.html", "lock"),
)
"""Names that a run folder may have, at which a stranger may have put a link."""
SETTINGS: tuple[tuple[str, Any], ...] = (
    *(("agent", "evil:Agent"), ("env_id", "evil:evil/Evil-v0"), ("store", "../outside/new.db")),
    *(("agent_arguments", {"policy": "evil.Policy"}), ("agent_made_with", {"policy": "evil.P"})),
    *(("agent_arguments", {"tensorboard_log": "../outside"}), ("store", "../outside/victim")),
    *(("env_arguments", {"early_stopping": {"curves": "../outside/curves.jsonl"}}), ("run", "")),
    *(("env_arguments", {"inherit_weights": "../outside"}), ("ray", "127.0.0.1:1")),
    *(("env_arguments", {"store": "../outside/new.db"}), ("store", "postgresql://a:b@127.1:1/c")),
)
"""Entries that a stranger may have put into ``settings.json``."""


def run_folder(rng: random.Random, samples: Samples) -> Files:
    """Return a run folder of which one file is spoiled, missing, a link, or a stranger's."""
    files = {f"run/{name}": data for name, data in rng.choice(samples.runs).items()}
    files["evil.py"] = b"open('../outside/imported', 'w').close()\n"
    name = rng.choice(sorted(name for name in files if name.startswith("run/")))
    data = files[name]
    how = rng.random()
    if how < 0.06:
        del files[name]
    elif how < 0.16:
        files[name] = rng.choice((*SPECIAL_CONTENTS, b""))
    elif how < 0.24:
        strange = f"run/{rng.choice(STRANGE)}"
        files = {each: files[each] for each in files if not each.startswith(f"{strange}/")}
        files[strange] = rng.choice((LINK, HARD_LINK, LINK_TO_FOLDER, LOCKED))
    elif how < 0.36:
        settings = json.loads(files["run/settings.json"])
        settings.update([rng.choice(SETTINGS)])
        files["run/settings.json"] = to_json(settings).encode()
    elif name.endswith(".db"):
        files[name] = store_file(rng, samples)
    elif isinstance(data, bytes):
        text = name.endswith((".json", ".jsonl"))
        files[name] = spoil_text(rng, data) if text else spoil_bytes(rng, data)
    return files
