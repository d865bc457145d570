"""RLlib's PPO with masks, by `MaskInObservation` and RLlib's own `ActionMaskingTorchRLModule`."""

import gymnasium as gym
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

from benchmark import ENV_ID, SEED, report
from nas_gym.wrappers import MaskInObservation


def make_env(_: object) -> gym.Env:
    """Return an environment whose observations have the mask."""
    return MaskInObservation(gym.make(ENV_ID, observation="one-hot"), "rllib")


def main() -> float:
    """Train for 1,300 networks; return the margin of the last 200 over random ones."""
    register_env("masked", make_env)
    returns: list[float] = []
    config = (
        PPOConfig()
        .environment("masked")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ActionMaskingTorchRLModule,
                model_config={"head_fcnet_hiddens": [64], "head_fcnet_activation": "tanh"},
            )
        )
        .training(gamma=1.0, lr=1e-3, train_batch_size=384, minibatch_size=96, num_epochs=4)
        .callbacks(on_episode_end=lambda episode, **_: returns.append(episode.get_return()))
        .debugging(seed=SEED)
    )
    algorithm = config.build_algo()
    for _ in range(24):
        algorithm.train()
    algorithm.stop()
    return report("RLlib's PPO with masks", returns[-200:])


if __name__ == "__main__":
    main()
