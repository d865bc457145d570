"""d3rlpy's DQN, which trains online, on one-hot observations."""

import d3rlpy
import gymnasium as gym

from benchmark import ENV_ID, SEED, report


def main() -> float:
    """Train for 1,500 networks; return the margin of the last 100 over random ones."""
    d3rlpy.seed(SEED)
    env = gym.make(ENV_ID, observation="one-hot", info="numbers")
    env.reset(seed=SEED)
    config = d3rlpy.algos.DQNConfig(gamma=1.0, learning_rate=1e-3, target_update_interval=200)
    buffer = d3rlpy.dataset.create_fifo_replay_buffer(limit=9_000, env=env)
    config.create().fit_online(
        env,
        buffer,
        d3rlpy.algos.LinearDecayEpsilonGreedy(duration=4_000),
        n_steps=9_000,
        n_steps_per_epoch=3_000,
        update_start_step=300,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
        show_progress=False,
    )
    return report("d3rlpy's DQN", [each.compute_return() for each in buffer.episodes[-100:]])


if __name__ == "__main__":
    main()
