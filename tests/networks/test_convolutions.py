"""Convolutions and pooling in their fast forms equal torch's own, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.networks import ImageShape, convolutions
from nas_gym.networks.convolutions import AveragePool2d, DepthwiseConv2d, PointwiseConv2d
from nas_gym.networks.costs import multiply_adds
from nas_gym.networks.operations import conv


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (3, 5)])
@pytest.mark.parametrize("autocast", [False, True])
def test_pointwise_convolution_equals_torchs(size: tuple[int, int], autocast: bool) -> None:
    module = conv(6, 10)
    assert isinstance(module, PointwiseConv2d)
    x = torch.randn(4, 6, *size)
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.to(memory_format=layout, copy=True).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = module(given)
        tolerance = 2e-2 if autocast else 1e-5
        assert output.dtype == (torch.bfloat16 if autocast else torch.float32)
        torch.testing.assert_close(
            output.float(), F.conv2d(x, module.weight), rtol=tolerance, atol=tolerance
        )
        module.zero_grad()
        output.float().square().sum().backward()
        assert given.grad is not None
        assert module.weight.grad is not None
        gradients.append((given.grad, module.weight.grad.clone()))
    for contiguous, channels_last in zip(*gradients, strict=True):
        scale = contiguous.abs().max().item()
        torch.testing.assert_close(channels_last, contiguous, rtol=0, atol=scale * tolerance)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_strided_depthwise_convolution_stays_in_float32_under_autocast(
    layout: torch.memory_format,
) -> None:
    module = conv(6, 6, 3, stride=2, groups=6)
    assert isinstance(module, DepthwiseConv2d)
    x = torch.randn(2, 6, 9, 9).to(memory_format=layout)
    expected = F.conv2d(x, module.weight, stride=2, padding=1, groups=6)
    with torch.autocast("cpu", torch.bfloat16):
        output = module(x)
        narrow = module(x.bfloat16())
    assert output.dtype == narrow.dtype == torch.float32
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(narrow, expected, rtol=5e-2, atol=5e-2)
    torch.testing.assert_close(module(x), expected)


def gradients(module: nn.Module, x: Tensor, layout: torch.memory_format) -> list[Tensor]:
    """The output, then the gradients of the images and of the weights, for a fixed loss."""
    given = x.to(memory_format=layout, copy=True).requires_grad_()
    output = module(given)
    weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view(output.shape)
    loss = (output.double() * weights).sum()
    parameters = list(module.parameters())
    return [output, *torch.autograd.grad(loss, [given, *parameters])]


def assert_same(ours: list[Tensor], torchs: list[Tensor], tolerance: float) -> None:
    for one, other in zip(ours, torchs, strict=True):
        assert one.dtype == other.dtype
        scale = other.abs().max().item()
        torch.testing.assert_close(one, other, rtol=0, atol=scale * tolerance)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7, (1, 5), (5, 1)])
@pytest.mark.parametrize("pixels", [(8, 8), (7, 10), (2, 2), (1, 4)])
@pytest.mark.parametrize("fast", [False, True])
def test_depthwise_gradients_equal_torchs(
    stride: int,
    size: int | tuple[int, int],
    pixels: tuple[int, int],
    fast: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolutions, "_WORTH_IT", 0 if fast else 10**9)
    module = conv(6, 6, size, stride, groups=6)
    assert isinstance(module, DepthwiseConv2d)
    x = torch.randn(4, 6, *pixels)
    plain = nn.Conv2d(6, 6, 1, stride, groups=6, bias=False)
    plain.weight = module.weight
    plain.kernel_size, plain.padding = module.kernel_size, module.padding
    ours, torchs = (gradients(m, x, torch.channels_last) for m in (module, plain))
    assert_same(ours, torchs, 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [5, 7])
def test_depthwise_gradients_are_right_in_double(
    stride: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "_WORTH_IT", 0)
    module = conv(2, 2, size, stride, groups=2).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64).to(memory_format=torch.channels_last)

    def convolved(images: Tensor, weight: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(module, {"weight": weight}, (images,))
        return output

    assert torch.autograd.gradcheck(convolved, (x.requires_grad_(), module.weight))


def test_depthwise_gradients_under_autocast_follow_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolutions, "_WORTH_IT", 0)
    module = conv(16, 16, 5, groups=16)
    x = torch.randn(16, 16, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = gradients(module, x, torch.channels_last)
    assert narrow[0].dtype == torch.bfloat16
    exact = gradients(module, x, torch.channels_last)
    assert_same([narrow[0].float(), *narrow[1:]], exact, 2e-2)


def test_a_depthwise_convolution_makes_only_the_gradients_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolutions, "_WORTH_IT", 0)
    module = conv(4, 4, 5, groups=4)
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    module.requires_grad_(False)
    given = x.clone(memory_format=torch.preserve_format).requires_grad_()
    module(given).sum().backward()
    assert given.grad is not None
    assert module.weight.grad is None
    module.requires_grad_(True)
    module(x).sum().backward()
    assert module.weight.grad is not None


@pytest.mark.parametrize("pixels", [(8, 8), (5, 9), (2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_average_pooling_equals_torchs(
    pixels: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "_LARGE_STATE", 0)
    x = torch.randn(3, 4, *pixels).to(dtype)
    plain = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    ours, torchs = (gradients(m, x, torch.channels_last) for m in (AveragePool2d(3, 1), plain))
    assert_same(ours, torchs, 1e-6 if dtype == torch.float32 else 1e-2)


def test_average_pooling_is_right_in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "_LARGE_STATE", 0)
    x = torch.randn(1, 2, 4, 3, dtype=torch.float64).to(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(AveragePool2d(3, 1), (x.requires_grad_(),))


def test_average_pooling_has_no_multiply_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "_LARGE_STATE", 0)
    pool = nn.Sequential(AveragePool2d(3, 1), nn.Flatten(), nn.Linear(3 * 16, 2))
    assert multiply_adds(pool, ImageShape(3, 4, 4, 2)) == 3 * 16 * 2
