"""Our agents' defaults as configuration files of the RL Zoo (https://github.com/DLR-RM/rl-zoo3).

    python examples/rl_zoo/configurations.py

writes the YAML files beside this one: one for each algorithm that the Zoo may run, with an entry
for each environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.environments import registered_search_spaces
from nas_agents.catalogue.registry import AGENTS

EPISODES = 2000
"""Number of episodes that a run of the Zoo is planned for."""
ZOO_NAMES = {"qr-dqn": "qrdqn", "recurrent-ppo": "ppo_lstm", "maskable-ppo": "ppo_mask"}
"""The Zoo's names of algorithms, where they are not ours. It does not list MaskablePPO."""
HEAD = """\
# {agent}'s defaults for the RL Zoo, written by
# `python examples/rl_zoo/configurations.py`.
# n_timesteps: {episodes:,} networks; give another number with -n.
#
# {command}
"""
TRAIN = (
    "python examples/rl_zoo/zoo.py train --algo {algo} \\\n"
    "#     --conf-file examples/rl_zoo/{algo}.yml --env nas_gym/NASNet-v0 --eval-freq -1"
)


def configuration(agent: str) -> str:
    """Return the YAML text of an agent: its arguments in each environment."""
    algo = ZOO_NAMES.get(agent, agent)
    command = TRAIN.format(algo=algo)
    name = AGENTS[agent].path.partition(":")[2]
    lines = [HEAD.format(agent=name, episodes=EPISODES, command=command)]
    for env_id, search_space in registered_search_spaces().items():
        if not env_id.startswith("nas_gym/"):  # a user's own
            continue
        entry = _entry(agent, len(search_space.decisions)).items()
        lines += [f"{env_id}:", *(f"  {key}: {json.dumps(value)}" for key, value in entry)]
    return "\n".join(lines) + "\n"


def _entry(agent: str, decisions: int) -> dict[str, Any]:
    """Return what the Zoo reads for one environment."""
    arguments = find_agent(agent).arguments(Plan(decisions, EPISODES))
    entry = {"n_timesteps": EPISODES * decisions, **arguments}
    if "noise_std" in entry:
        entry["noise_type"] = "normal"
    if "replay_buffer_class" in entry:  # the Zoo evaluates it, where it has this function
        entry["replay_buffer_class"] = f"get_class_by_name('{entry['replay_buffer_class']}')"
    if AGENTS[agent].continuous:
        entry["env_wrapper"] = "nas_gym.wrappers.ContinuousAction"
    return entry


def in_zoo(agent: str) -> bool:
    """Return True if the Zoo may run an agent; it does not know our own algorithms."""
    entry = AGENTS[agent]
    return not entry.conditioned and not entry.path.startswith("nas_agents.")


def write() -> None:
    """Write the files of all agents that the Zoo may run."""
    for agent in AGENTS:
        if in_zoo(agent):
            file = Path(__file__).with_name(f"{ZOO_NAMES.get(agent, agent)}.yml")
            file.write_text(configuration(agent), encoding="utf-8")


if __name__ == "__main__":
    write()
