"""Devices: the precision that suits them, and how they are set to compute."""

from __future__ import annotations

import os

import pytest
import torch

from nas_gym.networks.devices import autocast_dtype, numerics

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "device", "has_bfloat16", "expected"),
    [
        ("auto", "cuda", True, torch.bfloat16),
        ("auto", "cuda", False, torch.float16),
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
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)
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
