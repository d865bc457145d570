"""``nas_gym/TinyBench-v0``. No torch here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_gym.envs.recorded import RecordedEnv
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.tables.built import built_table
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.table import Table

TINY_BENCH = Path(__file__).with_name("tiny_bench.npz")
IMAGES = 5000
"""Number of images to validate, and of those to test."""


def tiny_bench_table() -> Table:
    """Return the recorded benchmark behind `TinyBenchEnv`: one training of each network."""
    return built_table(TINY_BENCH, NASBench201SearchSpace())


def repeated_trainings() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the accuracies of the networks that were trained three times, to measure noise.

    Validation accuracies after each epoch, (R, 3, E), and test accuracies, (R, 3). The first
    training of each is that of `tiny_bench_table`.
    """
    arrays = read_arrays(TINY_BENCH, ("status", "validation_right", "test_right"))
    chosen = (arrays["status"] == "ok").all(axis=1)
    return arrays["validation_right"][chosen] / IMAGES, arrays["test_right"][chosen] / IMAGES


class TinyBenchEnv(RecordedEnv):
    r"""
    ## Description
    A recorded benchmark that ships with the package: NAS-Bench-201's search space, each of whose
    6,466 distinct networks was really trained on small images of CIFAR-10. An episode designs a
    cell, and the reward is looked up: nothing is trained or downloaded, and what an agent finds can
    be compared with the best there is.

    A cell is a graph of four nodes, each of whose six edges takes one of five operations.

    ### How it was made
    With this package's own training (`nas_gym.Trainer`), by

    ```bash
    nas-gym table build nas_gym/NASBench201-v0 --out tiny_bench.npz \
        --dataset cifar10 --image-size 8 --split 5000 5000 5000 --seeds 3 --repeated 0.1 \
        --workers 2 --set cells=1 --set filters=16 --set epochs=4 --set batch_size=256 \
        --set learning_rate=0.3 --set precision=bfloat16
    ```

    The images have 8x8 pixels: 5,000 to train on, 5,000 to validate, 5,000 to test. Three stacks of
    one cell with 16, 32 and 64 filters learn for four epochs. The 7,760 trainings took 5.6 hours of
    processor time, 2.6 seconds each (an AMD EPYC with AVX-512, torch 2.14).

    | one training | validation | test |
    |---|---|---|
    | best of the 6,466 networks | 0.467 | 0.458 |
    | mean, standard deviation | 0.414, 0.031 | 0.404, 0.029 |
    | worst: nothing reaches the output | 0.100 | 0.100 |
    | mean, 99th percentile of all 15,625 cells | 0.412, 0.459 | 0.401 |

    Each network was trained once, and a tenth of them, drawn by chance, twice more:
    `repeated_trainings` in `nas_gym.families.nasbench201.tiny_bench` returns these.
    Between trainings of one network, the standard deviation of its validation accuracy is 0.9
    points, between the 647 networks 3.0. Spearman's rank correlation between two trainings is 0.90,
    0.90 and 0.89, between the means' validation and test accuracy 0.99.

    ### How it agrees with the published table
    Spearman's rank correlation with NAS-Bench-201's test accuracy on CIFAR-10 after 200 epochs:

    | ranks by | 6,466 networks | their better half | 15,625 cells |
    |---|---|---|---|
    | TinyBench's validation accuracy | 0.78 | 0.54 | 0.67 |
    | published validation accuracy after 12 epochs | 0.76 | 0.49 | 0.77 |
    | number of parameters | 0.79 | 0.52 | 0.81 |

    Over the cells it agrees less, since hundreds of cells mean one of a few shallow networks, which
    learn early: one skip is better here than one 3x3 convolution. The best network, 3 1 1 3 1 3,
    has a published test accuracy of 93.10% (the mean of the three cells that mean it); 7.6% of all
    cells have more. So agents can be compared here on a problem of the right kind; which
    architecture is good is a question for the published table.

    `python examples/benchmarks/tiny_bench.py` prints these figures.

    ## Action Space
    | Action | Operation |
    |---|---|
    | 0 | `none`: the edge brings nothing |
    | 1 | `skip_connect`: the identity |
    | 2 | `nor_conv_1x1`: ReLU, 1x1 convolution, batch normalization |
    | 3 | `nor_conv_3x3`: ReLU, 3x3 convolution, batch normalization |
    | 4 | `avg_pool_3x3`: average pooling |

    The edges come in the order 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2; node 0 is the cell's input, node
    3 its output. Every action is always valid.

    ## Rewards
    Isomorphic cells are one network, with one record.

    ## Information
    `seconds`, in `evaluation` and in the budget, are the processor's in training and validating the
    child, when it was recorded. Test accuracy is for analysis, and no agent has it:
    `nas_gym.families.nasbench201.tiny_bench.tiny_bench_table().test_accuracy(architecture)`.

    ## References
    - X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
      Search. ICLR 2020. https://arxiv.org/abs/2001.00326
    - A. Krizhevsky. Learning Multiple Layers of Features from Tiny Images. 2009.
      https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf
    """

    search_space_type = NASBench201SearchSpace
    recorded = staticmethod(tiny_bench_table)
