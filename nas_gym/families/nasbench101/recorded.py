"""``nas_gym/NASBench101-Recorded-v0``. No torch here."""

from nas_gym.envs.recorded import RecordedEnv
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace
from nas_gym.families.nasbench101.table import nasbench101_table


class NASBench101RecordedEnv(RecordedEnv):
    """
    ## Description
    NAS-Bench-101 (Ying et al. 2019): the 423,624 distinct cells of its search space, trained by its
    authors on CIFAR-10 for 4, 12, 36 and 108 epochs. An episode designs a cell, and the reward is
    its recorded validation accuracy. The file `nasbench101.npz` is looked up in the folder
    `NAS_GYM_DATA`; `nas-gym table import nasbench_full.tfrecord` makes it.

    ## Action Space
    21 edges, then five operations, as in `nas_gym/NASBench101-v0`, and the same actions are valid.

    ## Rewards
    The accuracy is the mean of the three trainings that were recorded of the cell.

    ## Information
    The architecture's `module_hash` is its name in the released tables.

    ## References
    - C. Ying, A. Klein, E. Real, E. Christiansen, K. Murphy, F. Hutter. NAS-Bench-101: Towards
      Reproducible Neural Architecture Search. ICML 2019. https://arxiv.org/abs/1902.09635
    """

    search_space_type = NASBench101SearchSpace
    recorded = staticmethod(nasbench101_table)
