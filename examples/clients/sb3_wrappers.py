"""Stable-Baselines3's PPO behind its own `VecFrameStack` and `VecNormalize`."""

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from benchmark import ENV_ID, SEED, report
from nas_gym.sb3 import make_vec_env


def main() -> float:
    """Train for 2,000 networks; return the margin of the last 100 over random ones."""
    vec_env = make_vec_env(ENV_ID, n_envs=16, seed=SEED, env_kwargs={"observation": "one-hot"})
    vec_env = VecNormalize(VecFrameStack(vec_env, n_stack=2), gamma=1.0)
    agent = PPO("MlpPolicy", vec_env, n_steps=24, batch_size=96, gamma=1.0, seed=SEED, device="cpu")
    agent.learn(2_000 * 6)
    assert agent.ep_info_buffer is not None
    return report("Stable-Baselines3's PPO", [episode["r"] for episode in agent.ep_info_buffer])


if __name__ == "__main__":
    main()
