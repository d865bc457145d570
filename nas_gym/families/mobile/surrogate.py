"""Once-for-All's accuracy predictor and latency tables: a benchmark without training. No torch.

The authors' files are at https://github.com/han-cai/files, folder ofa; how they are read is in
https://github.com/mit-han-lab/once-for-all, ofa/tutorial (accuracy_predictor.py, latency_table.py).
Here they are the arrays of one file, ``ofa_mbv3_w12.npz``: ``{0,2,4,6}_weight`` and ``_bias`` of
the predictor, and ``note10_R_layers`` and ``note10_R_ms`` for each resolution R.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.data.loading import data_folder
from nas_gym.data.npz import read_npz
from nas_gym.errors import require
from nas_gym.evaluation import Evaluation
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.mobile.ofa import (
    FIRST,
    HEAD,
    HSWISH,
    MOST,
    SQUEEZED,
    STEM,
    STRIDES,
    OFASearchSpace,
)
from nas_gym.search_spaces.filters import divisible
from nas_gym.settings import from_mapping
from nas_gym.tables.columns import InvalidTable

FILE = "ofa_mbv3_w12.npz"
WIDTH, RESOLUTIONS = 1.2, (160, 176, 192, 208, 224)
LINEAR = (0, 2, 4, 6)
"""Numbers of the predictor's linear layers; there are ReLUs between them."""
CLASSES = 1000
BATCH = 64
"""Networks of one matrix product: always the same number, whose rounding is always the same."""
PER_STAGE = 1 + 2 * MOST
"""Decisions of a stage."""
ABSENT = 9
"""The code of a layer beyond the depth; others are 3 x kernel + expansion, from 0 to 8."""
ONE_HOT = np.zeros((ABSENT + 1, 2, 3), dtype=np.float32)
"""The predictor's inputs of a layer by its code."""
ONE_HOT[:ABSENT, 0] = np.repeat(np.eye(3), 3, axis=0)
ONE_HOT[:ABSENT, 1] = np.tile(np.eye(3), (3, 1))
COLUMNS = ("accuracy", "latency", "multiply_adds", "parameters")


class OFASurrogate:
    """Evaluates networks by arrays: an MLP for the accuracy, sums over layers for all costs.

    Args:
        arrays: Those of the file.
        search_space: `OFASearchSpace` of width 1.2, with resolutions that were measured.
        at_most: Limits of the costs; what exceeds one has the status "over_limit".

    Raises:
        InvalidSettings: the search space is another.
        InvalidTable: an array is missing, or a layer was not measured.
    """

    costs = COLUMNS[1:]

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        search_space: OFASearchSpace,
        at_most: CostLimits | None = None,
    ) -> None:
        width, resolutions = search_space.width, search_space.resolutions
        require(width == WIDTH, f"filter_width: the surrogate is for {WIDTH}, got {width}")
        known = bool(resolutions) and set(resolutions) <= set(RESOLUTIONS)
        require(known, f"resolutions: expected some of {RESOLUTIONS}, got {resolutions}")
        self.search_space, self.at_most = search_space, at_most or CostLimits()
        activations = self.at_most.peak_activation_bytes
        require(activations is None, "at_most: the surrogate has no peak_activation_bytes")
        self._linear = [
            (np.ascontiguousarray(arrays[f"{n}_weight"].T), arrays[f"{n}_bias"]) for n in LINEAR
        ]
        by_kind = self._linear[0][0][:120].reshape(2, 20, 3, -1)  # here, a layer's are together
        self._linear[0][0][:120] = by_kind.swapaxes(0, 1).reshape(120, -1)
        tables = [_Costs(search_space, size, arrays) for size in resolutions]
        self._base = np.array([table.base for table in tables])  # (R, 3)
        self._layers = np.concatenate([table.layers for table in tables])  # (R * 20 * 10, 3)
        self._bins = np.eye(8, dtype=np.float32)[[(size - 112) // 16 for size in resolutions]]
        digest = hashlib.blake2b(repr(self.at_most).encode(), digest_size=16)
        for name in sorted(arrays):
            digest.update(name.encode() + arrays[name].tobytes())
        self.fingerprint = digest.hexdigest()

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each architecture; see `nas_gym.evaluation.Evaluator`."""
        encode = self.search_space.encode
        columns = self.columns_of(np.stack([encode(each) for each in architectures]))
        return [self.evaluation(columns, index) for index in range(len(architectures))]

    def evaluation(self, columns: Mapping[str, NDArray[Any]], index: int) -> Evaluation:
        """Return the evaluation in one row of columns."""
        accuracy, latency, multiply_adds, parameters = (columns[n].item(index) for n in COLUMNS)
        counts = {"parameters": round(parameters), "multiply_adds": round(multiply_adds)}
        own = {"seconds": 0.0, "seed": 0, "fingerprint": self.fingerprint, "latency": latency}
        status = columns["status"].item(index)
        message = "" if status == "ok" else self.at_most.exceeded({**own, **counts})
        return Evaluation(status, accuracy, (), message=message, **own, **counts)

    def columns_of(self, choices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the columns of N complete, valid sequences of choices, (N, T): (N,) each."""
        number, resolution, codes = len(choices), choices[:, 0], _codes(choices)
        inputs = np.zeros((-(-number // BATCH) * BATCH, 128), dtype=np.float32)
        inputs[:number, :120] = ONE_HOT.take(codes, axis=0).reshape(number, -1)
        inputs[:number, 120:] = self._bins.take(resolution, axis=0)
        accuracy, costs = self._predicted(inputs)[:number], self._costs(resolution, codes)
        over = self.at_most.excess(costs) > 0
        accuracy[over] = 0
        status = np.where(over, "over_limit", "ok")
        return {"accuracy": accuracy, **costs, "seconds": np.zeros(number), "status": status}

    def costs_of(self, choices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the columns of the costs alone."""
        return self._costs(choices[:, 0], _codes(choices))

    def _costs(
        self, resolution: NDArray[np.int64], codes: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Return the costs of layers by their codes, (N, 20), at resolutions by number, (N,)."""
        rows = (np.arange(20) + 20 * resolution[:, np.newaxis]) * (ABSENT + 1) + codes
        costs = self._base[resolution] + self._layers.take(rows, axis=0).sum(axis=1)
        return dict(zip(self.costs, costs.T, strict=True))

    def _predicted(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the accuracies of networks by their one-hot codes, (M, 128): (M,)."""
        predicted = []
        for start in range(0, len(inputs), BATCH):
            states = inputs[start : start + BATCH]
            for place, (weight, bias) in enumerate(self._linear):
                states = np.maximum(states, 0, out=states) @ weight if place else states @ weight
                states += bias
            predicted.append(states[:, 0])
        return np.concatenate(predicted).astype(np.float64).clip(0, 1)


def _codes(choices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the codes of all layers, (N, 20), of N sequences of choices, (N, T)."""
    stages = choices[:, 1:].reshape(len(choices), -1, PER_STAGE)
    there = np.arange(MOST) < 2 + stages[:, :, :1]  # (N, 5, 4)
    codes = np.where(there, 3 * stages[:, :, 1::2] + stages[:, :, 2::2], ABSENT)
    return codes.reshape(len(choices), -1)


class _Costs:
    """Latency in seconds, multiply-adds and parameters of all layers at one resolution."""

    def __init__(
        self, search_space: OFASearchSpace, size: int, arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        names, times = arrays[f"note10_{size}_layers"], arrays[f"note10_{size}_ms"]
        self.measured = dict(zip(names.tolist(), (times / 1000).tolist(), strict=True))
        stem, first, head = (divisible(search_space.width * each) for each in (STEM, FIRST, HEAD))
        pixels = (size + 1) // 2
        conv = f"Conv-input:{size}x{size}x3-output:{pixels}x{pixels}x{stem}"
        self.base = self._cost(conv, 27 * stem * pixels**2, 29 * stem)
        self.base += self._layer(pixels, stem, first, 1, 0, 3, 1)
        layers = np.zeros((len(STRIDES), MOST, ABSENT + 1, 3))
        channels = first
        for stage, filters in enumerate(search_space.filters, start=1):
            for layer in range(MOST):
                stride = STRIDES[stage - 1] if layer == 0 else 1
                for code in range(ABSENT):
                    sizes = (3 + 2 * (code // 3), (3, 4, 6)[code % 3])
                    made = self._layer(pixels, channels, filters, stride, stage, *sizes)
                    layers[stage - 1, layer, code] = made
                pixels, channels = (pixels + stride - 1) // stride, filters
        self.layers = layers.reshape(-1, 3)
        self._add_head(pixels, channels, head)

    def _cost(self, name: str, multiply_adds: int, parameters: int) -> NDArray[np.float64]:
        if name not in self.measured:
            raise InvalidTable(f"table: {FILE} has no latency of {name}; fetch the file once more")
        return np.array([self.measured[name], multiply_adds, parameters], dtype=np.float64)

    def _layer(
        self,
        pixels: int,
        inputs: int,
        filters: int,
        stride: int,
        stage: int,
        kernel: int,
        ratio: int,
    ) -> NDArray[np.float64]:
        """Return the costs of an inverted bottleneck on an input of pixels x pixels x inputs."""
        expanded, after = inputs * ratio, (pixels + stride - 1) // stride
        multiply_adds = (kernel**2 + filters) * expanded * after**2
        parameters = (kernel**2 + 2 + filters) * expanded + 2 * filters
        if ratio > 1:
            multiply_adds += inputs * expanded * pixels**2
            parameters += (inputs + 2) * expanded
        if SQUEEZED[stage]:
            squeezed = divisible(expanded // 4)
            multiply_adds += 2 * expanded * squeezed
            parameters += 2 * expanded * squeezed + expanded + squeezed
        shortcut = stride == 1 and inputs == filters
        name = (
            f"expanded_conv-input:{pixels}x{pixels}x{inputs}-output:{after}x{after}x{filters}"
            f"-expand:{expanded}-kernel:{kernel}-stride:{stride}-idskip:{shortcut:d}"
            f"-se:{SQUEEZED[stage]:d}-hs:{HSWISH[stage]:d}"
        )
        return self._cost(name, multiply_adds, parameters)

    def _add_head(self, pixels: int, channels: int, head: int) -> None:
        """Add the widening convolution, pooling, the features and the classifier."""
        wide, square = divisible(6 * channels), f"{pixels}x{pixels}x"
        parts = (
            (f"Conv_1-input:{square}{channels}-output:{square}{wide}", channels, pixels**2, 2),
            (f"AvgPool2D-input:{square}{wide}-output:1x1x{wide}", 0, 0, 0),
            (f"Conv_2-input:1x1x{wide}-output:1x1x{head}", 0, 0, 0),
            (f"Logits-input:1x1x{head}-output:{CLASSES}", 0, 0, 0),
        )
        for name, inputs, area, norm in parts:
            self.base += self._cost(name, inputs * wide * area, (inputs + norm) * wide)
        self.base[1:] += wide * head + head * CLASSES
        self.base[2] += CLASSES


def ofa_surrogate(
    search_space: OFASearchSpace,
    at_most: Mapping[str, float] | None = None,
    training_seed: int = 0,
) -> OFASurrogate:
    """Return the surrogate of the file in the folder ``NAS_GYM_DATA``.

    Args:
        search_space: Its search space.
        at_most: limits of the costs, such as `{"latency": 0.03}`; what exceeds one is refused.
        training_seed: no effect: nothing is trained.

    Raises:
        InvalidSettings: the search space is another.
        InvalidTable: the file is missing or broken.
    """
    limits = None if at_most is None else from_mapping(CostLimits, "at_most", at_most)
    path: Path = data_folder() / FILE
    if not path.is_file():
        raise InvalidTable(
            f"table: there is no {path}; put Once-for-All's predictor and latencies there, or "
            "point NAS_GYM_DATA to the folder where they are"
        )
    return OFASurrogate(read_npz(path, "table", InvalidTable), search_space, limits)
