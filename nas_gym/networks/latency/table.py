"""`LatencyTable`: operations measured once on a device, whose sum predicts a network's latency.

ProxylessNAS (Cai et al. 2019, https://arxiv.org/abs/1812.00332, section 3.3 and appendix B) and
Once-for-All predict latency in this way. Here an operation is a call of torch's, with the shapes,
strides and types of its tensors, such as a network makes it in inference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import nn

from nas_gym.errors import InvalidSettings, require
from nas_gym.networks.base import InputShape
from nas_gym.networks.latency.calls import calls_of
from nas_gym.outside.files import replacing
from nas_gym.outside.json_text import read_json_file, short_name

VERSION = 1


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
