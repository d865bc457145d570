"""Published cells of NAS-Bench-201."""

from nas_gym.families.nasbench201.search_space import NASBench201Architecture

PUBLISHED = {
    # The best cell by CIFAR-10's mean test accuracy, 94.37%, index 6111 (Dong & Yang 2020).
    "NAS-Bench-201-best": NASBench201Architecture.from_string(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    ),
    # The cell that is a residual block, index 11472 (Dong & Yang 2020).
    "NAS-Bench-201-ResNet": NASBench201Architecture.from_string(
        "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    ),
}
