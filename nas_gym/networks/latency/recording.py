"""Records a `LatencyTable`: measures operations and whole networks, and fits one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from nas_gym.errors import require
from nas_gym.networks.base import InputShape
from nas_gym.networks.devices import cpu_threads, hardware_name, resolve_device
from nas_gym.networks.latency.calls import calls_of, seconds_of
from nas_gym.networks.latency.measuring import LatencySettings, measure_latency
from nas_gym.networks.latency.table import LatencyTable


def record_table(
    networks: Iterable[nn.Module],
    held_out: int,
    input_shape: InputShape,
    settings: LatencySettings,
    on_network: Callable[[int], None] = lambda done: None,
) -> LatencyTable:
    """Measure the operations of networks, and the networks themselves, as the settings say.

    Networks are of one kind, for instance random ones of a search space. The last ``held_out`` are
    not used by the fit; the table's ``errors`` are theirs. ``on_network`` is called after each with
    the number of finished ones.
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
        measured = measure_latency(network, input_shape, settings).seconds
        rows.append((total, len(calls), measured))
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
