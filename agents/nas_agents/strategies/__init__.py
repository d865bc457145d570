"""Strategies: search algorithms that propose whole architectures and observe their rewards.

`Strategy` is the base, with random draws, mutations and neighbours for every search space; each
algorithm is one file. `nas_agents.strategies.as_agent.StrategyAgent` runs a strategy as a
Stable-Baselines3 algorithm, and `nas-gym bench` repeats it under many seeds.
"""

from nas_agents.strategies.base import MultiFidelity, Strategy

__all__ = ["MultiFidelity", "Strategy"]
