"""Parameters and multiply-adds of published architectures: published, ours, and the difference.

    python examples/reproduction/costs.py

Nothing is trained; every network is built on torch's meta device. A published figure such as
"3.3M" agrees when ours rounds to it. Where the papers' own released code gives an exact count, ours
must equal it to the last parameter. Every miss is listed below the table with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from nas_gym import published
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.families.mnasnet.network import MnasNetSettings
from nas_gym.families.nasbench101.network import NASBench101Settings
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ImageShape, NetworkSettings, measure_cost
from nas_gym.networks.mobile import MobileNetworkSettings

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)
MOBILE = ImageShape(channels=3, height=224, width=224, classes=1000)
LARGE = ImageShape(channels=3, height=331, width=331, classes=1000)
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}


@dataclass(frozen=True)
class Row:
    """One published network: what it is, what was published of it, and where."""

    label: str
    name: str
    """As `nas_gym.published` knows it."""
    image_shape: ImageShape
    settings: NetworkSettings
    source: str
    parameters: str | int | None = None
    """As printed, "3.3M", or an exact count."""
    multiply_adds: str | int | None = None
    reason: str = ""
    """Why ours differs, where it does."""


def cells(
    label: str,
    name: str,
    image_shape: ImageShape,
    source: str,
    parameters: str | int | None = None,
    multiply_adds: str | int | None = None,
    reason: str = "",
    **settings: object,
) -> Row:
    """Return a row of the NASNet family; a network for ImageNet has its stem."""
    if image_shape is not CIFAR:
        settings["stem"] = "imagenet"
    skeleton = CellNetworkSettings(**settings)  # type: ignore[arg-type]
    return Row(label, name, image_shape, skeleton, source, parameters, multiply_adds, reason)


def pnasnet(
    count: int,
    filters: int,
    image_shape: ImageShape,
    source: str,
    parameters: str,
    multiply_adds: str | None = None,
    reason: str = "",
) -> Row:
    """Return a row of PNASNet-5, whose reduction cells take the place of normal ones."""
    return cells(
        f"PNASNet-5 ({count}, {filters})",
        "PNASNet-5",
        image_shape,
        source,
        parameters,
        multiply_adds,
        reason,
        cells=count,
        filters=filters,
        separate_reductions=False,
        skip_reduction_input=True,
    )


def mobile(
    name: str,
    source: str,
    parameters: str | int,
    multiply_adds: str | None = None,
    width: float = 1.0,
) -> Row:
    """Return a row of the MnasNet family, for ImageNet."""
    label = name if width == 1 else f"{name} x {width}"
    settings = MnasNetSettings(width=width)
    return Row(label, name, MOBILE, settings, source, parameters, multiply_adds)


NASNET = "Zoph et al. 2018"
SLIM = "tensorflow/models, slim/nets/nasnet"
AMOEBANET = "Real et al. 2019"
TPU = "tensorflow/tpu, amoeba_net"
ENAS = "Pham et al. 2018"
TIMM = "timm, counted"
MIDDLE = ImageShape(channels=3, height=299, width=299, classes=1000)

RELEASED = {
    "ProxylessNAS-CPU": (4_361_648, 439_243_864),
    "ProxylessNAS-GPU": (7_119_848, 465_260_160),
    "ProxylessNAS-Mobile": (4_080_512, 320_427_584),
    "ProxylessNAS-Mobile-14": (6_857_568, 580_883_408),
    "1080ti_gpu64@12ms_top1@72.6_finetune@25": (5_903_488, 164_964_352),
    "1080ti_gpu64@22ms_top1@75.3_finetune@25": (5_186_720, 312_808_424),
    "LG-G8_lat@11ms_top1@73.0_finetune@25": (4_965_160, 103_373_272),
    "LG-G8_lat@24ms_top1@76.4_finetune@25": (5_809_576, 229_846_296),
    "cpu_lat@10ms_top1@71.1_finetune@25": (4_158_272, 143_192_752),
    "cpu_lat@15ms_top1@74.6_finetune@25": (4_875_704, 300_991_560),
    "flops@389M_top1@79.1_finetune@75": (8_386_544, 389_487_856),
    "flops@595M_top1@80.0_finetune@75": (9_135_928, 595_189_032),
    "note10_lat@16ms_top1@75.5_finetune@25": (4_932_272, 162_464_384),
    "note10_lat@30ms_top1@78.4_finetune@75": (7_465_896, 339_352_816),
    "note10_lat@50ms_top1@79.7_finetune@75": (9_057_064, 554_390_264),
    "note10_lat@8ms_top1@71.4_finetune@25": (3_761_168, 75_802_880),
    "note8_lat@31ms_top1@72.8_finetune@25": (4_595_536, 100_520_248),
    "note8_lat@65ms_top1@76.1_finetune@25": (5_296_672, 219_899_816),
    "pixel1_lat@143ms_top1@80.1_finetune@75": (9_221_888, 641_756_192),
    "pixel1_lat@28ms_top1@73.3_finetune@25": (5_196_680, 108_572_320),
    "pixel1_lat@58ms_top1@76.9_finetune@75": (5_809_576, 229_846_296),
    "pixel2_lat@25ms_top1@71.5_finetune@25": (4_137_152, 79_266_240),
    "pixel2_lat@50ms_top1@74.7_finetune@25": (4_687_720, 165_999_448),
    "s7edge_lat@29ms_top1@70.5_finetune@25": (3_830_224, 66_444_032),
    "s7edge_lat@58ms_top1@74.7_finetune@25": (4_623_312, 144_701_952),
    "tx2_gpu16@35ms_top1@70.3_finetune@25": (4_315_144, 121_204_736),
    "tx2_gpu16@80ms_top1@75.4_finetune@25": (5_186_720, 312_808_424),
    "v100_gpu64@11ms_top1@76.1_finetune@25": (6_195_512, 351_764_864),
    "v100_gpu64@6ms_top1@73.0_finetune@25": (4_933_568, 179_272_800),
}
"""Parameters and multiply-adds of ProxylessNAS's and Once-for-All's released configurations."""
COMPARED = {
    "MobileNetV2 (TuNAS)": (3_504_872, 300_774_272),
    "MnasNet-B1 (TuNAS)": (4_383_312, 314_415_872),
    "ProxylessNAS-Mobile (TuNAS)": (4_080_512, 320_427_584),
}
"""The same of the networks with which TuNAS is compared."""

ROWS = [
    cells("NASNet-A (6 @ 768)", "NASNet-A", CIFAR, f"{NASNET}, table 1", "3.3M"),
    cells("NASNet-A (6 @ 768)", "NASNet-A", CIFAR, SLIM, 3_346_538, 544_333_312),
    cells(
        "NASNet-A (4 @ 1056)",
        "NASNet-A",
        MOBILE,
        f"{NASNET}, table 3",
        "5.3M",
        "564M",
        cells=4,
        filters=44,
    ),
    cells(
        "NASNet-A (4 @ 1056)",
        "NASNet-A",
        MOBILE,
        SLIM,
        5_289_978,
        563_638_816,
        cells=4,
        filters=44,
    ),
    cells(
        "NASNet-A (6 @ 4032)",
        "NASNet-A",
        LARGE,
        f"{NASNET}, table 2",
        "88.9M",
        "23.8B",
        "the released code has 88,753,150 parameters, as ours; the paper printed 88.9M",
        cells=6,
        filters=168,
        skip_reduction_input=True,
    ),
    cells(
        "NASNet-A (6 @ 4032)",
        "NASNet-A",
        LARGE,
        SLIM,
        88_753_150,
        23_783_414_658,
        cells=6,
        filters=168,
        skip_reduction_input=True,
    ),
    cells(
        "NASNet-A (7 @ 2304)",
        "NASNet-A",
        CIFAR,
        f"{NASNET}, table 1",
        "27.6M",
        reason="the paper's own rules give 32.6M for N = 7, and 28.2M for N = 6",
        cells=7,
        filters=96,
    ),
    cells(
        "NASNet-A (5 @ 1538)",
        "NASNet-A",
        MIDDLE,
        f"{NASNET}, table 2",
        "10.9M",
        "2.35B",
        "1538 is no multiple of 24; 1536 is counted, by the paper's own rules",
        cells=5,
        filters=64,
        stem_filters=96,
        skip_reduction_input=True,
    ),
    cells(
        "NASNet-A (7 @ 1920)",
        "NASNet-A",
        MIDDLE,
        f"{NASNET}, table 2",
        "22.6M",
        "4.93B",
        "the paper's own rules give 24.6M for N = 7, and 21.6M for N = 6",
        cells=7,
        filters=80,
        stem_filters=96,
        skip_reduction_input=True,
    ),
    cells("AmoebaNet-A (6, 32)", "AmoebaNet-A", CIFAR, f"{AMOEBANET}, table 1", "2.6M", filters=32),
    cells("AmoebaNet-A (6, 36)", "AmoebaNet-A", CIFAR, f"{AMOEBANET}, table 1", "3.2M", filters=36),
    cells(
        "AmoebaNet-A (4, 50)",
        "AmoebaNet-A",
        MOBILE,
        TPU,
        5_086_930,
        554_687_204,
        cells=4,
        filters=50,
        stem_filters=32,
    ),
    cells(
        "AmoebaNet-A (6, 190)",
        "AmoebaNet-A",
        LARGE,
        f"{AMOEBANET}, table 2",
        "86.7M",
        "23.1B",
        filters=190,
        stem_filters=32,
    ),
    cells(
        "AmoebaNet-A (6, 448)",
        "AmoebaNet-A",
        LARGE,
        f"{AMOEBANET}, table 2",
        "469M",
        "104B",
        "468.2M parameters are counted; 104B fits images of 299 pixels (103.9B), not of 331",
        filters=448,
        stem_filters=32,
    ),
    cells(
        "AmoebaNet-C (4, 50)",
        "AmoebaNet-C",
        MOBILE,
        "third-party tables",
        "6.4M",
        "570M",
        "parameters agree; the released cell counts 677M multiply-adds",
        cells=4,
        filters=50,
        stem_filters=32,
    ),
    cells(
        "AmoebaNet-C (6, 228)",
        "AmoebaNet-C",
        LARGE,
        "Tan & Le 2019, table 2",
        "155M",
        "41B",
        filters=228,
        stem_filters=32,
    ),
    pnasnet(3, 48, CIFAR, "third-party tables", "3.2M"),
    pnasnet(3, 54, MOBILE, "Chen et al. 2021 (TE-NAS), table 3", "5.1M"),
    pnasnet(4, 216, LARGE, f"{AMOEBANET}, table 2", "86.1M", "25.0B", "24.94B are counted"),
    Row("ENAS micro (6, 36)", "ENAS-micro", CIFAR, ENASCellNetworkSettings(), ENAS, "4.6M"),
    Row(
        "ENAS macro (96)",
        "ENAS-macro",
        CIFAR,
        MacroNetworkSettings(filters=96),
        ENAS,
        "21.3M",
        reason="the released network has twice as many; with depthwise-separable convolutions "
        "(the form 'paper') it has 30.9M",
    ),
    Row(
        "ENAS macro (128)",
        "ENAS-macro",
        CIFAR,
        MacroNetworkSettings(filters=128),
        ENAS,
        "38.0M",
        reason="as the row above: about twice as many, and 55.0M in the form 'paper'",
    ),
    Row(
        "NAS-Bench-101, like Inception",
        "NAS-Bench-101-Inception",
        CIFAR,
        NASBench101Settings(),
        "google-research/nasbench",
        2_694_282,
    ),
    Row(
        "NAS-Bench-201, row 6111",
        "NAS-Bench-201-best",
        CIFAR,
        NASBench201Settings(),
        "the released table",
        1_073_466,
    ),
    Row(
        "NAS-Bench-201, row 11472",
        "NAS-Bench-201-ResNet",
        CIFAR,
        NASBench201Settings(),
        "the released table",
        559_386,
    ),
    mobile("MnasNet-A1", "Tan et al. 2019, section 6.1", "3.9M", "312M"),
    mobile("MnasNet-A1", TIMM, 3_887_038),
    mobile("MnasNet-A1", TIMM, 2_082_006, width=0.5),
    mobile("MnasNet-A1", TIMM, 2_912_278, width=0.75),
    mobile("MnasNet-A1", TIMM, 6_105_992, width=1.4),
    mobile("MnasNet-B1", TIMM, 4_383_312),
    mobile("MnasNet-B1", TIMM, 2_218_512, width=0.5),
    mobile("MnasNet-B1", TIMM, 3_170_208, width=0.75),
    mobile("MnasNet-B1", TIMM, 7_115_728, width=1.4),
    mobile("MnasNet-small", TIMM, 2_030_264),
    mobile("MobileNetV2", "torchvision, counted", 3_504_872),
    *(
        Row(name, name, MOBILE, MobileNetworkSettings(), f"{where}, counted", *counts)
        for where, networks in (("han-cai/files", RELEASED), ("tunas", COMPARED))
        for name, counts in networks.items()
    ),
]


def agrees(printed: str | int | None, ours: int) -> bool:
    """Return True if ours equals an exact count, or rounds to a printed figure."""
    if printed is None or isinstance(printed, int):
        return printed in (None, ours)
    figure = Decimal(printed[:-1])
    scaled = Decimal(ours) / _UNITS[printed[-1]]
    return scaled.quantize(figure) == figure


def difference(printed: str | int | None, ours: int) -> str:
    """Ours beside the published figure, relative to it."""
    if printed is None:
        return ""
    if isinstance(printed, int):
        return "exact" if printed == ours else f"{ours - printed:+,}"
    figure = Decimal(printed[:-1]) * _UNITS[printed[-1]]
    return f"{float(Decimal(ours) / figure - 1):+.2%}"


def text(printed: str | int | None) -> str:
    """Format a published figure as it is printed."""
    return f"{printed:,}" if isinstance(printed, int) else printed or ""


def misses(table: Table) -> Iterator[str]:
    """Fill the table, and yield a line for each row whose figures differ."""
    for row in ROWS:
        cost = measure_cost(published(row.name), row.image_shape, row.settings)
        table.add_row(
            row.label,
            row.source,
            text(row.parameters),
            f"{cost.parameters:,}",
            difference(row.parameters, cost.parameters),
            text(row.multiply_adds),
            f"{cost.multiply_adds:,}",
            difference(row.multiply_adds, cost.multiply_adds),
        )
        agreed = agrees(row.parameters, cost.parameters)
        if not (agreed and agrees(row.multiply_adds, cost.multiply_adds)):
            yield f"{row.label}, {row.source}: {row.reason or 'NOT EXPLAINED'}"


def main() -> None:
    """Print the table, then the misses."""
    table = Table(box=None)
    for heading in (
        "network",
        "published by",
        "parameters",
        "ours",
        "",
        "multiply-adds",
        "ours",
        "",
    ):
        table.add_column(
            heading, justify="left" if heading in ("network", "published by") else "right"
        )
    missed = list(misses(table))
    console = Console(width=160)
    console.print(table)
    architectures = len({row.name for row in ROWS})
    agreed = len(ROWS) - len(missed)
    console.print(
        f"\n{len(ROWS)} rows of {architectures} architectures, {agreed} agree. The others:"
    )
    for line in missed:
        console.print(f"- {line}", soft_wrap=True)


if __name__ == "__main__":
    main()
