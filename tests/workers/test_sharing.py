from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_gym.errors import InvalidSettings
from nas_gym.workers.sharing import Share, SharedObject


def test_what_is_shared_is_there_whole_and_belongs_to_each() -> None:
    value: dict[str, Any] = {
        "images": np.arange(60_000, dtype=np.uint8).reshape(100, 600)[:, ::-2],
        "labels": np.arange(6_000),
        "small": np.arange(3),
        "names": np.array(["a", "b"]),
        "weights": torch.arange(4_000.0).view(40, 100).t().requires_grad_(),
        "device": torch.device("cuda:3"),
    }
    share = Share(value)
    first, second = (SharedObject(share.path).load() for _ in range(2))
    share.close()
    for name in ("images", "labels", "small", "names"):
        assert np.array_equal(first[name], value[name])
    assert torch.equal(first["weights"], value["weights"])
    assert first["weights"].stride() == (1, 100)
    assert first["weights"].requires_grad
    assert first["device"] == torch.device("cuda")  # a process's own, whatever its number was
    first["images"][:] = 7
    assert np.array_equal(second["images"], value["images"])


@pytest.mark.skipif(sys.platform != "linux", reason="the block is a file elsewhere")
def test_the_block_is_no_file_and_goes_with_its_share() -> None:
    share = Share(np.zeros(10_000))
    assert "memfd" in os.readlink(share.path)
    share.close()
    assert not Path(share.path).exists()


def test_what_cannot_be_pickled_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="evaluator: function cannot be sent"):
        Share(lambda: None)
