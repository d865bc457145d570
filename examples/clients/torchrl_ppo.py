"""TorchRL's PPO, with masks, by `MaskInObservation` and TorchRL's own `ActionMask`."""

import gymnasium as gym
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import ActionMask, GymWrapper, TransformedEnv, check_env_specs
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from benchmark import ENV_ID, SEED, report
from nas_gym.wrappers import MaskInObservation

NETWORKS, BATCH = 1_500, 64  # networks in all, and in each batch


def make_env() -> TransformedEnv:
    """Return an environment whose observations have the mask, which TorchRL applies."""
    inner = MaskInObservation(gym.make(ENV_ID, observation="one-hot"), "torchrl")
    return TransformedEnv(GymWrapper(inner, categorical_action_encoding=True), ActionMask())


def mlp(outputs: int) -> nn.Module:
    """Return a network of one hidden layer."""
    return nn.Sequential(nn.LazyLinear(64), nn.Tanh(), nn.Linear(64, outputs))


def main() -> float:
    """Train for 1,500 networks; return the margin of the last 256 over random ones."""
    torch.manual_seed(SEED)
    env = make_env()
    check_env_specs(env)
    actor = ProbabilisticActor(
        TensorDictModule(mlp(env.action_spec.n), ["observation"], ["logits"]),
        in_keys={"logits": "logits", "mask": "action_mask"},
        distribution_class=MaskedCategorical,
        return_log_prob=True,
    )
    critic = ValueOperator(mlp(1), ["observation"])
    critic(env.reset())
    actor(env.reset())
    loss_of = ClipPPOLoss(actor, critic, entropy_coeff=0.01)
    advantage = GAE(gamma=1.0, lmbda=1.0, value_network=critic)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=3e-3)
    frames = BATCH * 6
    returns: list[float] = []
    for batch in Collector(env, actor, frames_per_batch=frames, total_frames=NETWORKS * 6):
        returns += batch["next", "reward"][batch["next", "done"]].tolist()
        for _ in range(4):
            advantage(batch)
            for part in batch.reshape(-1)[torch.randperm(frames)].split(frames // 4):
                losses = loss_of(part)
                loss = sum(value for name, value in losses.items() if name.startswith("loss_"))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return report("TorchRL's PPO", returns[-256:])


if __name__ == "__main__":
    main()
