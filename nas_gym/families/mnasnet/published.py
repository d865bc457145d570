"""MnasNet's published networks, and MobileNetV2."""

from nas_gym.families.mnasnet.search_space import (
    IDENTITY,
    NO_SKIP,
    MnasNetArchitecture,
    MobileBlock,
)

_CONV_OPS = {"e1": "dconv", "e3": "MBConv3", "e6": "MBConv6"}


def _mobile(stem_filters: int, *rows: str) -> MnasNetArchitecture:
    """Return a mobile network of blocks, ``r2 k3 s2 e6 o24 se0.25 noskip``, as released code.

    That is: layers (repeats), kernel size, stride, expansion, filters (output), squeeze-excitation.
    """
    parsed = []
    for text in ", ".join(rows).split(", "):
        layers, kernel, stride, expansion, filters, *rest = text.split()
        ratios = [float(word[2:]) for word in rest if word.startswith("se")]
        parsed.append(
            MobileBlock(
                conv_op=_CONV_OPS[expansion],
                kernel_size=int(kernel[1:]),
                se_ratio=sum(ratios),
                skip_op=NO_SKIP if "noskip" in rest else IDENTITY,
                filters=int(filters[1:]),
                layers=int(layers[1:]),
                stride=int(stride[1:]),
            )
        )
    return MnasNetArchitecture(tuple(parsed), stem_filters)


PUBLISHED = {
    # MnasNet-A1 (Tan et al. 2019, figure 7) as released (https://github.com/tensorflow/tpu,
    # models/official/mnasnet/mnasnet_models.py).
    "MnasNet-A1": _mobile(
        32,
        "r1 k3 s1 e1 o16 noskip, r2 k3 s2 e6 o24, r3 k5 s2 e3 o40 se0.25, r4 k3 s2 e6 o80",
        "r2 k3 s1 e6 o112 se0.25, r3 k5 s2 e6 o160 se0.25, r1 k3 s1 e6 o320",
    ),
    # MnasNet-B1, without squeeze-excitation; from the same file.
    "MnasNet-B1": _mobile(
        32,
        "r1 k3 s1 e1 o16 noskip, r3 k3 s2 e3 o24, r3 k5 s2 e3 o40, r3 k5 s2 e6 o80",
        "r2 k3 s1 e6 o96, r4 k5 s2 e6 o192, r1 k3 s1 e6 o320 noskip",
    ),
    # MnasNet-small; from the same file.
    "MnasNet-small": _mobile(
        8,
        "r1 k3 s1 e1 o8, r1 k3 s2 e3 o16, r2 k3 s2 e6 o16, r4 k5 s2 e6 o32 se0.25",
        "r3 k3 s1 e6 o32 se0.25, r3 k5 s2 e6 o88 se0.25, r1 k3 s1 e6 o144",
    ),
    # MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381, table 2), whose filters
    # and layers MnasNet's choices are relative to; with ReLU where it has ReLU6.
    "MobileNetV2": _mobile(
        32,
        "r1 k3 s1 e1 o16, r2 k3 s2 e6 o24, r3 k3 s2 e6 o32, r4 k3 s2 e6 o64, r3 k3 s1 e6 o96",
        "r3 k3 s2 e6 o160, r1 k3 s1 e6 o320",
    ),
}
