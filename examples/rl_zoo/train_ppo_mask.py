r"""`rl_zoo3.train` with sb3-contrib's MaskablePPO, which the RL Zoo does not list.

    python examples/rl_zoo/train_ppo_mask.py --gym-packages nas_gym --algo ppo_mask \
        --conf-file examples/rl_zoo/ppo_mask.yml --env nas_gym/NASNet-v0 --eval-freq -1

Without ``--eval-freq -1`` the Zoo evaluates the agent now and then as it does all others: without
masks, where an invalid action stands for a valid one.
"""

from rl_zoo3 import ALGOS
from rl_zoo3.train import train
from sb3_contrib import MaskablePPO

ALGOS["ppo_mask"] = MaskablePPO

if __name__ == "__main__":
    train()
