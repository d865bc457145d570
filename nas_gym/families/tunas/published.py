"""Networks with which TuNAS is compared, as its released code writes them.

Source: https://github.com/google-research/google-research, tunas/mobile_model_archive.py. They have
ReLU where their own papers have ReLU6; the counts are the same.
"""

from __future__ import annotations

from nas_gym.families.tunas.architecture import Bottleneck, TuNASArchitecture


def _network(filters: tuple[int, ...], operations: str) -> TuNASArchitecture:
    """Return a network of stages of operations; the first digit is the separable convolution's.

    0 to 2 are kernels 3, 5, 7 at an expansion of 3; 3 to 5 at one of 6; 6 is zero.
    """
    separable, *stages = operations.split()
    layers = tuple(tuple(_layer(int(digit)) for digit in stage) for stage in stages)
    return TuNASArchitecture("relu", 3, 3 + 2 * int(separable), filters, layers)


def _layer(operation: int) -> Bottleneck | None:
    return None if operation == 6 else Bottleneck(3 + 2 * (operation % 3), 3 + operation // 3 * 3)


PUBLISHED = {
    "MobileNetV2 (TuNAS)": _network(
        (32, 16, 24, 32, 64, 96, 160, 320, 1280), "0 3366 3336 3333 3336 3336 3"
    ),
    "MnasNet-B1 (TuNAS)": _network(
        (32, 16, 24, 40, 80, 96, 192, 320, 1280), "0 0006 1116 4446 3366 4444 3"
    ),
    "ProxylessNAS-Mobile (TuNAS)": _network(
        (32, 16, 32, 40, 80, 96, 192, 320, 1280), "0 1066 2011 5111 4111 5522 5"
    ),
}
