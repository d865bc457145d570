"""skrl's PPO in N environments in lock-step."""

import gymnasium as gym
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import nn

from benchmark import ENV_ID, SEED, report

NUM_ENVS, ROLLOUTS = 32, 28  # four episodes; the step after an episode's last one resets


class Policy(CategoricalMixin, Model):
    """Logits of the actions."""

    def __init__(self, observation_space, action_space) -> None:
        Model.__init__(self, observation_space=observation_space, action_space=action_space)
        CategoricalMixin.__init__(self)
        size = self.num_observations
        self.net = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, self.num_actions))

    def compute(self, inputs, role=""):
        return self.net(inputs["observations"]), {}


class Value(DeterministicMixin, Model):
    """The value of a partial architecture."""

    def __init__(self, observation_space, action_space) -> None:
        Model.__init__(self, observation_space=observation_space, action_space=action_space)
        DeterministicMixin.__init__(self)
        size = self.num_observations
        self.net = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1))

    def compute(self, inputs, role=""):
        return self.net(inputs["observations"]), {}


def main() -> float:
    """Train for 3,200 networks; return the margin of the last 320 over random ones."""
    set_seed(SEED)
    inner = gym.make_vec(ENV_ID, NUM_ENVS, observation="one-hot", info="numbers")
    recorded = RecordEpisodeStatistics(inner, buffer_length=320)
    env = wrap_env(recorded)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    agent = PPO(
        models={"policy": Policy(**spaces), "value": Value(**spaces)},
        memory=RandomMemory(memory_size=ROLLOUTS, num_envs=NUM_ENVS),
        cfg=PPO_CFG(
            rollouts=ROLLOUTS, discount_factor=1.0, mini_batches=4, entropy_loss_scale=0.01
        ),
        device="cpu",
        **spaces,
    )
    settings = {"timesteps": 25 * ROLLOUTS, "headless": True, "disable_progressbar": True}
    SequentialTrainer(env=env, agents=agent, cfg=settings).train()
    return report("skrl's PPO", recorded.return_queue)


if __name__ == "__main__":
    main()
