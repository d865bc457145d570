"""`LatencyTable`: operations measured once on a device, whose sum predicts a network's latency.

ProxylessNAS (Cai et al. 2019, https://arxiv.org/abs/1812.00332, section 3.3 and appendix B) and
Once-for-All predict latency in this way. Here an operation is a call of torch's, with the shapes,
strides and types of its tensors, such as a network makes it in inference.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from nas_gym.errors import InvalidSettings, require
from nas_gym.networks.base import InputShape
from nas_gym.networks.costs import evaluating
from nas_gym.networks.devices import cpu_threads, hardware_name, resolve_device, synchronize
from nas_gym.outside.files import replacing
from nas_gym.outside.json_text import read_json_file, short_name

VERSION = 1
Call: TypeAlias = tuple[Any, Any, Any]
"""An operation, its arguments and its keyword arguments."""
Measure: TypeAlias = Callable[[nn.Module], float]
"""Measures the seconds of a network's inference."""


@dataclass(frozen=True)
class LatencyTable:
    """Latencies of operations on one device.

    A network takes ``scale`` times the sum of its operations' seconds, and ``per_call`` seconds for
    each of them; both were fitted to networks that were measured whole.
    """

    hardware: str
    """The model of the device."""
    device: str
    batch_size: int
    threads: int
    operations: Mapping[str, float]
    """Seconds of each operation, by what it is."""
    scale: float
    per_call: float
    errors: tuple[float, ...] = ()
    """Relative errors of the predictions for networks that the fit did not have."""

    def predict(self, network: nn.Module, input_shape: InputShape) -> float:
        """Return the predicted latency of a network, in seconds per batch. Nothing is computed.

        Raises:
            InvalidSettings: it has an operation that the table lacks.
        """
        names = [name for name, _ in calls_of(network, input_shape, self.batch_size, self.device)]
        missing = sorted({name for name in names if name not in self.operations})
        if missing:
            says = f"table: it lacks {len(missing)} of the network's operations: {missing[0][:200]}"
            raise InvalidSettings(f"{says}; record it with networks and images of this kind")
        seconds = sum(self.operations[name] for name in names)
        return self.scale * seconds + self.per_call * len(names)

    @property
    def error(self) -> float:
        """The mean of the ``errors``, 0.05 for 5%; NaN where there are none."""
        return float(np.mean(self.errors)) if self.errors else float("nan")

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that follow from all that predictions follow from."""
        text = json.dumps({**vars(self), "errors": None}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the table as a JSON file, which appears as a whole."""
        with replacing(Path(path)) as part:
            text = json.dumps({"version": VERSION, **vars(self)}, indent=1)
            part.write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> LatencyTable:
        """Read a table from its file.

        Raises:
            InvalidSettings: the file cannot be read, or holds no latency table.
        """
        return _read(str(Path(path).resolve()), _changed(Path(path)))


def _changed(path: Path) -> int:
    """Return when a file was written last; 0 where it is missing."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=8)
def _read(path: str, changed: int) -> LatencyTable:
    where = short_name(path)
    content = read_json_file(path, error=InvalidSettings)
    fields = dict(content) if isinstance(content, dict) else {}
    wrong = f"table: {where} is no latency table; make one with nas-gym latency record"
    require(fields.pop("version", None) == VERSION, wrong)
    try:
        operations = {str(name): float(each) for name, each in fields.pop("operations").items()}
        errors = tuple(map(float, fields.pop("errors")))
        table = LatencyTable(operations=operations, errors=errors, **fields)
        numbers = [*operations.values(), table.scale, table.per_call]
        sound = all(np.isfinite(each) and each >= 0 for each in numbers)
        require(sound and int(table.batch_size) > 0 and bool(table.device), wrong)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidSettings(wrong) from error
    return table


_VIEWS = ("aten::detach", "aten::_unsafe_view")
"""Operations that compute nothing, though they do not say so."""


class _Calls(TorchDispatchMode):
    """Records the operations that compute something: all but views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: list[tuple[str, Call]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not func.is_view and func._schema.name not in _VIEWS:
            flat = ", ".join(map(_described, tree_flatten((args, kwargs))[0]))
            self.made.append((f"{func._schema.name}({flat})", (func, args, kwargs)))
        return func(*args, **kwargs)


def _described(value: object) -> str:
    if isinstance(value, float):
        return "float"  # which takes the same time whatever it is
    if not isinstance(value, Tensor):
        return repr(value)
    kind = str(value.dtype).removeprefix("torch.")
    return f"{kind}{list(value.shape)}{list(value.stride())}"


def calls_of(
    network: nn.Module, input_shape: InputShape, batch_size: int, device: str
) -> list[tuple[str, Call]]:
    """Return the operations of a network's inference, each with its name in tables.

    The network computes with shapes alone, as it would on the device, which need not be here.
    """
    calls = _Calls()
    on = torch.device(device)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        state = {
            name: torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device=on)
            for name, each in (*network.named_parameters(), *network.named_buffers())
        }
        images = input_shape.batch(batch_size, on)
        with evaluating(network), calls:
            torch.func.functional_call(network, state, images)
    return calls.made


def seconds_of(call: Call, device: torch.device, warmup: int, repeats: int) -> float:
    """Return the median of an operation's seconds, on tensors of the same shapes and strides."""

    def real(value: object) -> object:
        if not isinstance(value, Tensor):
            return device if isinstance(value, torch.device) else value
        made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
        return made.fill_(0.5)

    function = call[0]
    args, kwargs = (tree_map(real, each) for each in call[1:])
    times = []
    for _ in range(warmup + repeats):
        synchronize(device)
        started = time.perf_counter()
        function(*args, **kwargs)
        synchronize(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times[warmup:]))


def record_table(
    networks: Iterable[nn.Module],
    held_out: int,
    input_shape: InputShape,
    settings: Any,
    measure: Measure,
    on_network: Callable[[int], None] = lambda done: None,
) -> LatencyTable:
    """Measure the operations of networks, and the networks themselves.

    The last ``held_out`` networks are not used by the fit; the table's ``errors`` are theirs.

    Args:
        networks: Networks of one kind, for instance random ones of a search space.
        held_out: Number of networks for the errors.
        input_shape: Of their inputs.
        settings: Device, batch size, threads, warm-up and repeats; `LatencySettings`.
        measure: Measures the latency of a network, in seconds per batch.
        on_network: Called after each network with the number of finished ones.

    Raises:
        InvalidSettings: fewer than two networks are left for the fit.
    """
    device = resolve_device(settings.device or "cpu")
    operations: dict[str, float] = {}
    rows: list[tuple[float, int, float]] = []
    for network in networks:
        calls = calls_of(network, input_shape, settings.batch_size, str(device))
        with cpu_threads(settings.threads), torch.inference_mode():
            for name, call in calls:
                if name not in operations:
                    seconds = seconds_of(call, device, settings.warmup, settings.repeats)
                    operations[name] = seconds
        total = sum(operations[name] for name, _ in calls)
        rows.append((total, len(calls), measure(network)))
        on_network(len(rows))
    fitted = len(rows) - held_out
    require(fitted >= 2, f"networks: expected 2 more than the {held_out} held out, got {len(rows)}")
    scale, per_call = _fit(rows[:fitted])
    errors = [abs(scale * s + per_call * n - m) / m for s, n, m in rows[fitted:]]
    facts = (hardware_name(device), str(device), settings.batch_size, settings.threads)
    return LatencyTable(*facts, operations, scale, per_call, tuple(errors))


def _fit(rows: Sequence[tuple[float, int, float]]) -> tuple[float, float]:
    """Return the scale and the seconds a call, not negative, of the smallest relative errors."""
    sums, numbers, measured = np.array(rows, dtype=np.float64).T
    columns = np.stack([sums, numbers], axis=1) / measured[:, None]
    scale, per_call = nnls(columns, np.ones(len(rows)))[0].tolist()
    return scale, per_call
