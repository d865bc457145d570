"""Tianshou's DQN, with masks, by `MaskInObservation`."""

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from benchmark import ENV_ID, SEED, report
from nas_gym.wrappers import MaskInObservation


def make_env() -> gym.Env:
    """Return an environment whose observations have the mask."""
    env = gym.make(ENV_ID, observation="one-hot", info="numbers")
    return MaskInObservation(env, "tianshou")


def main() -> float:
    """Train for 1,500 networks; return the margin of 200 further ones over random ones."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 (Tianshou explores by it)
    env, envs = make_env(), DummyVectorEnv([make_env] * 10)
    size = env.observation_space["obs"].shape
    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=size, action_shape=env.action_space.n, hidden_sizes=[64]),
        action_space=env.action_space,
        eps_training=0.2,
        eps_inference=0.05,
    )
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=1.0,
        n_step_return_horizon=6,
        target_update_freq=100,
    )
    buffer = VectorReplayBuffer(10_000, 10)
    collector = Collector(algorithm, envs, buffer, exploration_noise=True)
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=3,
            epoch_num_steps=3_000,
            collection_step_num_env_steps=60,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=128,
            test_in_training=False,
            show_progress=False,
            verbose=False,
        )
    )
    final = Collector(algorithm, envs, exploration_noise=True)
    played = final.collect(n_episode=200, reset_before_collect=True)
    return report("Tianshou's DQN", played.returns)


if __name__ == "__main__":
    main()
