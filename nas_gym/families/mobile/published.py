"""Published networks of ProxylessNAS, and those that Once-for-All specialized for devices.

The latter have their authors' names: device, latency or multiply-adds, ImageNet top-1 accuracy and
epochs of finetuning (https://github.com/mit-han-lab/once-for-all, README.md; ProxylessNAS's are at
https://github.com/mit-han-lab/proxylessnas). Each has the resolution that it was specialized for.

A table has a network's name, the filters of its stem, the features of its head and its resolution
("-" for that of the images), then its stages: "40/2: 53 33 -" has 40 filters, stride 2 and three
layers. A layer is its kernel and its expansion, "53" for a 5x5 kernel and expansion 3; "-" is zero.
"""

from __future__ import annotations

import re

from nas_gym.families.mobile.architecture import SPACES, MBConv, MobileArchitecture


def _networks(space: str, table: str) -> dict[str, MobileArchitecture]:
    """Return the networks of a table by their names."""
    networks = {}
    for text in re.split(r"\n    (?=\S)", table.rstrip())[1:]:
        first, _, stages = text.partition("\n")
        name, stem, head, resolution = first.split()
        size = None if resolution == "-" else int(resolution)
        networks[name] = SPACES[space](_blocks(stages), int(stem), int(head), size)
    return networks


def _blocks(stages: str) -> tuple[MBConv | None, ...]:
    """Return the layers of all stages."""
    blocks: list[MBConv | None] = []
    for stage in stages.split(","):
        shape, _, layers = stage.partition(":")
        filters, stride = map(int, shape.split("/"))
        for text in layers.split():
            zero = text == "-"
            blocks.append(None if zero else MBConv(int(text[0]), int(text[1]), filters, stride))
            stride = 1
    return tuple(blocks)


PROXYLESSNAS = _networks(
    "ProxylessNASNets",
    """
    ProxylessNAS-CPU 40 1432 -
        24/1: 31, 32/2: 36 33 33 33, 48/2: 36 33 33 53, 88/2: 36 - - 33, 104/1: 56 33 33 33,
        216/2: 56 53 53 33, 360/1: 56
    ProxylessNAS-GPU 40 1728 -
        24/1: 31, 32/2: 53 - - -, 56/2: 73 - - 33, 112/2: 76 - - 53, 128/1: 56 - 33 53,
        256/2: 76 76 76 56, 432/1: 76
    ProxylessNAS-Mobile 32 1280 -
        16/1: 31, 32/2: 53 33 - -, 40/2: 73 33 53 53, 80/2: 76 53 53 53, 96/1: 56 53 53 53,
        192/2: 76 76 73 73, 320/1: 76
    ProxylessNAS-Mobile-14 48 1792 -
        24/1: 31, 40/2: 53 33 - -, 56/2: 73 33 53 53, 112/2: 76 53 53 53, 136/1: 56 53 53 53,
        256/2: 76 76 73 73, 448/1: 76
    1080ti_gpu64@12ms_top1@72.6_finetune@25 40 1664 128
        24/1: 31, 32/2: 33 33, 56/2: 36 54 54, 104/2: 56 53 73, 128/1: 34 73 36 34,
        248/2: 76 54 73 53, 416/1: 36
    1080ti_gpu64@22ms_top1@75.3_finetune@25 40 1664 188
        24/1: 31, 32/2: 33 33, 56/2: 53 36, 104/2: 34 54 36, 128/1: 34 36 74, 248/2: 36 54 54,
        416/1: 34
    cpu_lat@10ms_top1@71.1_finetune@25 40 1664 144
        24/1: 31, 32/2: 54 33, 56/2: 33 33, 104/2: 73 33 73, 128/1: 53 54, 248/2: 53 34, 416/1: 34
    cpu_lat@15ms_top1@74.6_finetune@25 40 1664 188
        24/1: 31, 32/2: 33 33, 56/2: 34 36, 104/2: 76 34, 128/1: 54 36 36, 248/2: 56 33, 416/1: 76
    tx2_gpu16@35ms_top1@70.3_finetune@25 40 1664 128
        24/1: 31, 32/2: 34 33, 56/2: 36 76, 104/2: 56 53, 128/1: 53 34, 248/2: 56 34, 416/1: 54
    tx2_gpu16@80ms_top1@75.4_finetune@25 40 1664 188
        24/1: 31, 32/2: 33 33, 56/2: 53 36, 104/2: 34 54 36, 128/1: 34 36 74, 248/2: 36 54 54,
        416/1: 34
    v100_gpu64@11ms_top1@76.1_finetune@25 40 1664 192
        24/1: 31, 32/2: 33 33, 56/2: 56 53, 104/2: 73 33 74, 128/1: 74 54 33 74, 248/2: 36 56 54 36,
        416/1: 34
    v100_gpu64@6ms_top1@73.0_finetune@25 40 1664 144
        24/1: 31, 32/2: 33 34, 56/2: 53 34, 104/2: 36 73 33, 128/1: 53 54 36, 248/2: 36 54 33,
        416/1: 34
    """,
)

OFA = _networks(
    "MobileNetV3",
    """
    LG-G8_lat@11ms_top1@73.0_finetune@25 16 1280 156
        16/1: 31, 24/2: 33 33, 40/2: 53 34 74, 80/2: 54 33, 112/1: 54 34 53, 160/2: 56 76 54
    LG-G8_lat@24ms_top1@76.4_finetune@25 16 1280 220
        16/1: 31, 24/2: 33 33, 40/2: 74 53 33, 80/2: 56 54 53, 112/1: 34 74 53, 160/2: 56 76 36 34
    flops@389M_top1@79.1_finetune@75 24 1536 224
        24/1: 31, 32/2: 33 33, 48/2: 53 56 33, 96/2: 54 54 33, 136/1: 56 54 34 34,
        192/2: 36 36 76 33
    flops@595M_top1@80.0_finetune@75 24 1536 236
        24/1: 31, 32/2: 33 54 33, 48/2: 54 54 36 53, 96/2: 76 56 33 54, 136/1: 36 56 76 34,
        192/2: 36 36 56 33
    note10_lat@16ms_top1@75.5_finetune@25 16 1280 192
        16/1: 31, 24/2: 33 33, 40/2: 53 54 34 33, 80/2: 54 54 33, 112/1: 54 54 33,
        160/2: 36 74 54 33
    note10_lat@30ms_top1@78.4_finetune@75 24 1536 224
        24/1: 31, 32/2: 33 33, 48/2: 54 33 34, 96/2: 54 54 33, 136/1: 36 34 34, 192/2: 36 36 34 33
    note10_lat@50ms_top1@79.7_finetune@75 24 1536 220
        24/1: 31, 32/2: 53 36 36, 48/2: 54 36 36 53, 96/2: 76 76 34 54, 136/1: 76 56 36 36,
        192/2: 36 36 36
    note10_lat@8ms_top1@71.4_finetune@25 16 1280 160
        16/1: 31, 24/2: 33 33, 40/2: 33 34, 80/2: 34 33 33, 112/1: 33 34, 160/2: 34 54
    note8_lat@31ms_top1@72.8_finetune@25 16 1280 152
        16/1: 31, 24/2: 53 33, 40/2: 54 53, 80/2: 34 34 54, 112/1: 34 53 74, 160/2: 36 33 53 53
    note8_lat@65ms_top1@76.1_finetune@25 16 1280 204
        16/1: 31, 24/2: 73 33, 40/2: 34 54 33, 80/2: 76 36 34, 112/1: 56 36 34, 160/2: 56 54 54 33
    pixel1_lat@143ms_top1@80.1_finetune@75 24 1536 240
        24/1: 31, 32/2: 53 36 33, 48/2: 56 56 36 53, 96/2: 76 56 36 34, 136/1: 56 36 56 34,
        192/2: 36 36 56 33
    pixel1_lat@28ms_top1@73.3_finetune@25 16 1280 160
        16/1: 31, 24/2: 33 34, 40/2: 73 36 34, 80/2: 73 36, 112/1: 36 54, 160/2: 36 34 33 36
    pixel1_lat@58ms_top1@76.9_finetune@75 16 1280 220
        16/1: 31, 24/2: 33 33, 40/2: 74 53 33, 80/2: 56 54 53, 112/1: 34 74 53, 160/2: 56 76 36 34
    pixel2_lat@25ms_top1@71.5_finetune@25 16 1280 144
        16/1: 31, 24/2: 33 33, 40/2: 56 54, 80/2: 74 33, 112/1: 74 73 34, 160/2: 56 34
    pixel2_lat@50ms_top1@74.7_finetune@25 16 1280 208
        16/1: 31, 24/2: 33 34, 40/2: 33 33, 80/2: 33 56, 112/1: 56 74, 160/2: 36 53 74 53
    s7edge_lat@29ms_top1@70.5_finetune@25 16 1280 144
        16/1: 31, 24/2: 33 33, 40/2: 53 34, 80/2: 54 34, 112/1: 54 54, 160/2: 36 53
    s7edge_lat@58ms_top1@74.7_finetune@25 16 1280 192
        16/1: 31, 24/2: 33 33, 40/2: 53 34, 80/2: 74 53 34 33, 112/1: 34 34 33, 160/2: 36 54 54
    """,
)
