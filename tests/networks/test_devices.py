"""Devices: the precision that suits them, and how they are set to compute."""

from __future__ import annotations

import os
from operator import attrgetter

import pytest
import torch

from nas_gym.networks.devices import autocast_dtype, numerics

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "device", "has_bfloat16", "expected"),
    [
        ("auto", "cuda:1", True, torch.bfloat16),
        ("auto", "cuda:1", False, torch.float16),
        ("auto", "mps", True, None),
        ("auto", "cpu", True, torch.bfloat16),
        ("auto", "cpu", False, None),
        ("float32", "cuda", True, None),
        ("float16", "cpu", True, torch.float16),
    ],
)
def test_precisions(
    precision: str,
    device: str,
    has_bfloat16: bool,
    expected: torch.dtype | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capabilities = {torch.device("cuda:1"): (8, 0) if has_bfloat16 else (7, 5)}  # of it alone
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.__getitem__)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bfloat16)
    assert autocast_dtype(precision, torch.device(device), 32) == expected


def set_now() -> tuple[str, int, bool, bool, bool]:
    cudnn = torch.backends.cudnn
    mode = torch.get_deterministic_debug_mode()
    matmul = torch.get_float32_matmul_precision()
    return matmul, mode, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark


def test_a_gpu_is_set_and_afterwards_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")  # what is set within is removed afterwards
    before = set_now()
    with numerics(CUDA, tf32=True, deterministic=False, benchmark=True):
        assert set_now() == ("high", 0, True, False, True)
    with numerics(CUDA, tf32=False, deterministic=True, benchmark=True):
        assert set_now() == ("highest", 2, False, True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    with numerics(torch.device("cpu"), tf32=True, deterministic=True, benchmark=True):
        assert set_now() == before
    assert set_now() == before


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="from torch 2.9 on")
@pytest.mark.parametrize(
    "set_by_a_script", ["", "cuda.matmul", "cudnn", "cudnn.conv", "mkldnn.matmul"]
)
def test_a_script_may_set_float32_by_torchs_newer_names(set_by_a_script: str) -> None:
    """It is as it was afterwards, and computed in the meantime as the training says."""
    names = ("", "cuda.matmul", "mkldnn.matmul", "cudnn", "cudnn.conv", "cudnn.rnn")
    places = {name: attrgetter(f"backends.{name}".rstrip("."))(torch) for name in names}
    place = places[set_by_a_script]

    def now() -> dict[str, str]:
        return {name: each.fp32_precision for name, each in places.items()}

    unset, before = now(), place.fp32_precision
    try:
        for precision in ("ieee", "tf32"):
            place.fp32_precision = precision
            expected = now()
            for tf32 in (True, False):
                with numerics(CUDA, tf32=tf32, deterministic=False, benchmark=False):
                    computed = {now()[name] for name in ("cuda.matmul", "cudnn.conv", "cudnn.rnn")}
                    assert computed <= ({"tf32"} if tf32 else {"ieee", "none"})
                assert now() == expected
    finally:
        place.fp32_precision = before
    assert now() == unset
    assert set_now()[0] == "highest"  # which torch refuses to say where the names disagree
