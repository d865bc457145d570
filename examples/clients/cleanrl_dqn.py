"""Deep Q-learning in one file, in the style of CleanRL's ``dqn.py``, on one-hot observations."""

from collections import deque

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark import ENV_ID, SEED, report

NUM_ENVS, EPISODES, BUFFER, BATCH = 16, 3_000, 20_000, 256
START_EPSILON, END_EPSILON = 1.0, 0.05


def q_network(inputs: int, actions: int) -> nn.Module:
    """Return a network of one hidden layer, (N, inputs) to (N, actions)."""
    return nn.Sequential(nn.Linear(inputs, 120), nn.ReLU(), nn.Linear(120, actions))


def main() -> float:
    """Train for 3,000 networks; return the margin of the last 200 over random ones."""
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    envs = gym.make_vec(ENV_ID, NUM_ENVS, observation="one-hot", autoreset_mode="SameStep")
    size, actions = envs.single_observation_space.shape[0], envs.single_action_space.n
    network, target = q_network(size, actions), q_network(size, actions)
    target.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    buffer: deque[tuple[np.ndarray, ...]] = deque(maxlen=BUFFER)
    returns: deque[float] = deque(maxlen=200)

    observations, info = envs.reset(seed=SEED)
    steps = EPISODES * 6 // NUM_ENVS
    for step in range(steps):
        progress = min(1.0, step / (0.5 * steps))
        epsilon = START_EPSILON + progress * (END_EPSILON - START_EPSILON)
        with torch.no_grad():
            values = network(torch.from_numpy(observations)).numpy()
        values[rng.random(NUM_ENVS) < epsilon] = rng.random(actions)
        taken = np.where(info["action_mask"], values, -np.inf).argmax(axis=1)
        following, rewards, terminated, _, info = envs.step(taken)
        reached = info["final_obs"] if terminated.all() else following
        buffer.extend(zip(observations, taken, rewards, reached, terminated, strict=True))
        returns.extend(rewards[terminated])
        observations = following

        if len(buffer) >= 2 * BATCH:
            chosen = [buffer[index] for index in rng.integers(len(buffer), size=BATCH)]
            seen, acts, gains, nexts, ends = (
                torch.as_tensor(np.stack(column)) for column in zip(*chosen, strict=True)
            )
            with torch.no_grad():
                targets = gains.float() + target(nexts).amax(1) * ~ends
            loss = F.mse_loss(network(seen).gather(1, acts[:, None])[:, 0], targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if step % 20 == 0:
            target.load_state_dict(network.state_dict())
    return report("CleanRL's DQN", returns)


if __name__ == "__main__":
    main()
