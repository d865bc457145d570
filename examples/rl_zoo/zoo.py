r"""The RL Zoo's own programs, with nas_gym's environments and MaskablePPO, which it does not list.

    python examples/rl_zoo/zoo.py train --algo ppo_mask --conf-file examples/rl_zoo/ppo_mask.yml \
        --env nas_gym/NASNet-v0 --eval-freq -1
    python examples/rl_zoo/zoo.py enjoy --algo ppo_mask --env nas_gym/NASNet-v0 -f logs --no-render
    python examples/rl_zoo/zoo.py record_video --algo ppo_mask --env nas_gym/NASNet-v0 -f logs

Arguments are the Zoo's. It plays and evaluates agents without masks, where an invalid action stands
for a valid one. ``record_video`` needs moviepy.
"""

import runpy
import sys

import gymnasium
from rl_zoo3 import ALGOS
from sb3_contrib import MaskablePPO

import nas_gym

PROGRAMS = ("train", "enjoy", "record_video")


def main() -> None:
    """Run the program that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS:
        sys.exit(f"usage: zoo.py {'|'.join(PROGRAMS)} [arguments of the RL Zoo]")
    gymnasium.register_envs(nas_gym)
    ALGOS["ppo_mask"] = MaskablePPO
    runpy.run_module(f"rl_zoo3.{sys.argv.pop(1)}", run_name="__main__")


if __name__ == "__main__":
    main()
