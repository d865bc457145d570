"""The file that NAS-Bench-101's authors released, as arrays. No torch here."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.families.nasbench101.table import NASBENCH101_CELLS
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.importing import Arrays, OnProgress


def nasbench101(source: Path, on_progress: OnProgress) -> Arrays:
    """The means of each module's repeats, from NAS-Bench-101's file.

    Raises:
        InvalidTable: it is none, or a module lacks a length of training.
    """
    repeats: dict[str, dict[int, list[tuple[float, float, float]]]] = {}
    fixed: dict[str, tuple[str, str, int]] = {}
    for module_hash, epochs, adjacency, operations, raw in _json_rows(source):
        parameters, final = _metrics(base64.b64decode(raw))
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


def _json_rows(source: Path) -> Iterator[list[Any]]:
    """The rows of a TFRecord file of JSON texts: length, its checksum, the text, its checksum.

    Checksums are skipped: a damaged row is no JSON, or lacks a field.
    """
    try:
        with source.open("rb") as file:
            while head := file.read(12):
                (length,) = struct.unpack("<Q", head[:8])
                row = json.loads(file.read(length))
                file.read(4)
                if not isinstance(row, list) or len(row) != 5:
                    raise InvalidTable(f"source: {source}: a row is none of NAS-Bench-101's")
                yield row
    except (OSError, ValueError, struct.error, MemoryError, OverflowError) as error:
        if isinstance(error, InvalidTable):
            raise
        raise InvalidTable(f"source: {source} cannot be read as a TFRecord: {error}") from error


def _metrics(message: bytes) -> tuple[int, tuple[float, float, float]]:
    """A ``ModelMetrics`` message of nasbench/lib/model_metrics.proto.

    Returns:
        The trainable parameters; and at the end of training the seconds so far, the validation and
        the test accuracy.
    """
    evaluations, parameters = [], -1
    for field, value in _fields(message):
        if field == 1:
            evaluations.append(dict(_fields(value)))
        elif field == 2:
            parameters = value
    if not evaluations or not {2, 4, 5} <= set(evaluations[-1]):
        raise InvalidTable("source: a row's metrics lack the end of training")
    last = evaluations[-1]
    return parameters, (last[2], last[4], last[5])


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protocol buffer: integers, doubles, and bytes."""
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
            raise InvalidTable(f"source: a row's metrics have a field of the unknown kind {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if place >= len(message):
            raise InvalidTable("source: a row's metrics are cut short")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
