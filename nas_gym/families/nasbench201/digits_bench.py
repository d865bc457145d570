"""``nas_gym/DigitsBench-v0``."""

from __future__ import annotations

from pathlib import Path

from nas_gym.envs.recorded import RecordedEnv
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.tables.built import built_table
from nas_gym.tables.table import Table

DIGITS_BENCH = Path(__file__).with_name("digits_bench.npz")


def digits_bench_table(training_seed: int | None = 0) -> Table:
    """Return the recorded benchmark behind `DigitsBenchEnv`.

    Args:
        training_seed: Number of the recorded training of each network that is looked up, modulo 3;
            `None`: the mean of all.
    """
    return built_table(DIGITS_BENCH, NASBench201SearchSpace(), training_seed)


class DigitsBenchEnv(RecordedEnv):
    r"""
    ## Description
    A recorded benchmark that ships with the package: NAS-Bench-201's search space, each of whose
    6,466 distinct networks was really trained, three times, on handwritten digits. An episode
    designs a cell, and the reward is looked up: nothing is trained or downloaded, and what an agent
    finds can be compared with the best there is.

    A cell is a graph of four nodes, each of whose six edges takes one of five operations.

    ### How it was made
    With this package's own training (`nas_gym.Trainer`), by

    ```bash
    nas-gym table build nas_gym/NASBench201-v0 --out digits_bench.npz \
        --dataset digits --image-size 4 --split 256 400 400 --seeds 3 --workers 2 \
        --set cells=3 --set filters=16 --set epochs=2 --set batch_size=128 \
        --set learning_rate=0.1 --set precision=float32
    ```

    The images are scikit-learn's digits at 4x4 pixels: 256 to train on, 400 to validate, 400 to
    test. Three stacks of N=3 cells with 16, 32 and 64 filters learn for two epochs of two steps,
    which distinguishes cells by how well they *begin* to learn: shallow ones lead. The 19,398
    trainings took 1.3 hours of processor time, a quarter of a second each (an Intel Xeon with
    AVX-512, torch 2.14). Trained again on the same machine, 60 of them gave the same accuracies.

    | | one training | mean of three |
    |---|---|---|
    | best validation accuracy | 0.798 (training 0) | 0.796 |
    | mean, standard deviation | 0.386, 0.144 | 0.385, 0.138 |
    | worst | 0.038 | 0.088 |
    | networks that share the best | 1 | 1 |
    | mean, 99th percentile of all 15,625 cells | | 0.411, 0.768 |

    Spearman's rank correlation between two trainings, over the 6,466 networks: 0.868, 0.866, 0.866;
    between the means' validation and test accuracy: 0.993. The best has the choices 0 0 0 1 0 2, a
    cell that does nothing but skip, with a test accuracy of 0.809; the four next to it do the same
    with another idle edge, and are other networks by the published count of 6,466.

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
    `nas_gym.families.nasbench201.digits_bench.digits_bench_table().test_accuracy(architecture)`.

    ## References
    - X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
      Search. ICLR 2020. https://arxiv.org/abs/2001.00326
    - E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning
      Repository, 1998. https://doi.org/10.24432/C50P49

    ## Version History
    - v0: first version
    """

    search_space_type = NASBench201SearchSpace
    recorded = staticmethod(digits_bench_table)
