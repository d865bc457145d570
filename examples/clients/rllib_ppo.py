"""RLlib's PPO in N environments in lock-step, by Gymnasium's vector entry point."""

from ray.rllib.algorithms.ppo import PPOConfig

from benchmark import ENV_ID, SEED, report


def main() -> float:
    """Train for 2,500 networks; return the margin of the last 200 over random ones."""
    returns: list[float] = []
    config = (
        PPOConfig()
        .environment(ENV_ID, env_config={"observation": "one-hot", "info": "numbers"})
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=32,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(gamma=1.0, lr=1e-3, train_batch_size=32 * 12, minibatch_size=96, num_epochs=4)
        .callbacks(on_episode_end=lambda episode, **_: returns.append(episode.get_return()))
        .debugging(seed=SEED)
    )
    algorithm = config.build_algo()
    for _ in range(40):
        algorithm.train()
    algorithm.stop()
    return report("RLlib's PPO", returns[-200:])


if __name__ == "__main__":
    main()
