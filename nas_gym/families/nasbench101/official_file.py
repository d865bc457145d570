"""Reads the file that NAS-Bench-101's authors released, as arrays. No torch here."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.data.npz import open_regular
from nas_gym.families.nasbench101.table import NASBENCH101_CELLS, NASBENCH101_EPOCHS
from nas_gym.outside.json_text import read_json_text, short_name
from nas_gym.settings import LARGEST
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.importing import Arrays, OnProgress

LONGEST_ROW = 2**20
"""Bytes of a row; those of NAS-Bench-101 have a few thousand."""


def nasbench101(source: Path, on_progress: OnProgress) -> Arrays:
    """Return the means of each module's repeats, from NAS-Bench-101's file."""
    repeats: dict[str, dict[int, list[tuple[float, float, float]]]] = {}
    fixed: dict[str, tuple[str, str, int]] = {}
    for number, row in enumerate(_json_rows(source)):
        try:
            module_hash, epochs, adjacency, operations, parameters, final = _parsed(row)
        except (ValueError, TypeError, struct.error) as error:
            raise InvalidTable(
                f"source: {source}: row {number} is none of NAS-Bench-101's: {str(error)[:300]}"
            ) from error
        if module_hash not in fixed and len(fixed) % 1000 == 0:
            on_progress(len(fixed), NASBENCH101_CELLS)
        fixed[module_hash] = (adjacency, operations, parameters)
        repeats.setdefault(module_hash, {}).setdefault(epochs, []).append(final)
    lengths = sorted({epochs for of_module in repeats.values() for epochs in of_module})
    for module_hash, of_module in repeats.items():
        if sorted(of_module) != lengths:
            raise InvalidTable(f"source: {source}: {module_hash} lacks some of {lengths} epochs")
    modules = [fixed[module_hash] for module_hash in repeats]
    arrays: Arrays = {
        "module_hash": np.array(list(repeats), dtype="S32"),
        "adjacency": np.array([adjacency for adjacency, _, _ in modules], dtype="S"),
        "ops": np.array([operations for _, operations, _ in modules], dtype="S"),
        "params": np.array([parameters for _, _, parameters in modules], dtype=np.int32),
    }
    for epochs in lengths:
        means = np.array([np.mean(of_module[epochs], axis=0) for of_module in repeats.values()])
        for column, name in enumerate(("train_time_s", "val_acc", "test_acc")):
            arrays[f"{name}_{epochs}ep"] = means[:, column].astype(np.float32)
    return arrays


def _json_rows(source: Path) -> Iterator[object]:
    """Yield the rows of a TFRecord file: length, its checksum, a JSON text, its checksum.

    Checksums are skipped: a damaged row is no JSON, or lacks a field.
    """
    try:
        with open_regular(source) as file:
            while head := file.read(12):
                (length,) = struct.unpack("<Q", head[:8])
                if length > LONGEST_ROW:
                    raise ValueError(f"a row claims {length:,} bytes; at most {LONGEST_ROW:,} do")
                yield read_json_text(file.read(length))
                file.read(4)
    except (OSError, ValueError, struct.error) as error:
        if isinstance(error, InvalidTable):
            raise
        name, reason = short_name(source), getattr(error, "strerror", None) or error
        raise InvalidTable(f"source: {name} cannot be read as a TFRecord: {reason}") from error


def _parsed(row: object) -> tuple[str, int, str, str, int, tuple[float, float, float]]:
    """Return hash, epochs, adjacency, operations, parameters, and the end of training of a row."""
    if not isinstance(row, list) or list(map(type, row)) != [str, int, str, str, str]:
        raise ValueError("expected a list of hash, epochs, adjacency, operations and metrics")
    module_hash, epochs, adjacency, operations, raw = row
    if epochs not in NASBENCH101_EPOCHS:
        raise ValueError(f"epochs: expected one of {NASBENCH101_EPOCHS}, got {epochs}")
    if not (module_hash + adjacency + operations).isascii():
        raise ValueError("expected texts of ASCII characters")
    parameters, final = _metrics(base64.b64decode(raw))
    if not all(type(value) is float and 0 <= value <= LARGEST for value in final):
        raise ValueError(f"the end of training is {final}; expected numbers from 0 on")
    if not 0 <= parameters <= LARGEST:
        raise ValueError(f"parameters: expected a number up to {LARGEST:,}, got {parameters}")
    return module_hash, epochs, adjacency, operations, parameters, final


def _metrics(message: bytes) -> tuple[int, tuple[float, float, float]]:
    """Parse a ``ModelMetrics`` message of nasbench/lib/model_metrics.proto.

    Return the trainable parameters, and at the end of training (seconds, validation accuracy, test
    accuracy).
    """
    evaluations, parameters = [], -1
    for field, value in _fields(message):
        if field == 1:
            evaluations.append(dict(_fields(value)))
        elif field == 2:
            parameters = int(value)
    if not evaluations or not {2, 4, 5} <= set(evaluations[-1]):
        raise ValueError("its metrics lack the end of training")
    last = evaluations[-1]
    return parameters, (last[2], last[4], last[5])


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a protocol buffer: integers, doubles, and bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
        elif kind == 1:
            yield number, struct.unpack_from("<d", message, place)[0]
            place += 8
        elif kind == 2:
            length, place = _varint(message, place)
            yield number, message[place : place + length]
            place += length
        else:
            raise ValueError(f"its metrics have a field of the unknown kind {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("its metrics are cut short")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
