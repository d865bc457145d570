"""The papers' LSTM controller as a policy of MaskablePPO, on NASNet's decisions.

    python examples/lstm_controller.py

Few of NASNet's choices are valid at any time; masked ones are never drawn. Forty networks are
trained on handwritten digits for an epoch each: about half a minute.
"""

from __future__ import annotations

import numpy as np
from sb3_contrib import MaskablePPO

from nas_agents.controllers.lstm_policy import MaskableControllerPolicy
from nas_gym.sb3 import make_vec_env


def main(networks: int = 40, envs: int = 4) -> None:
    """Learn, and print the mean accuracy of each tenth of the networks."""
    arguments = {"blocks": 2, "dataset": "digits", "epochs": 1}
    vec_env = make_vec_env("nas_gym/NASNet-v0", n_envs=envs, seed=0, env_kwargs=arguments)
    steps = vec_env.get_attr("decisions")[0]
    agent = MaskablePPO(
        MaskableControllerPolicy,
        vec_env,
        n_steps=steps,
        batch_size=steps * envs,
        gamma=1.0,
        learning_rate=3e-3,
        stats_window_size=networks,
        policy_kwargs={"controller": "nasnet"},
        seed=0,
    )
    agent.learn(networks * steps)
    rewards = [episode["r"] for episode in agent.ep_info_buffer or ()]
    for part in np.array_split(rewards, min(10, len(rewards))):
        print(f"{part.mean():.1%}")


if __name__ == "__main__":
    main()
