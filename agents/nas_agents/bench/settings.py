"""`Benchmark`: which agents are compared, on what, under which budget; and its single searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from nas_agents.catalogue.registry import AUTO
from nas_gym.errors import choices_hint, require
from nas_gym.settings import Above0, Count, Positive, settings

AGENTS = (
    *("random", "regularized-evolution", "local-search"),
    *("model-based", "reinforce", "ppo"),
)
"""Agents that are compared by default."""
Arguments = Mapping[str, Any]


@settings
class Benchmark:
    """Subject and protocol of a comparison."""

    env_id: str
    """Environment whose children are recorded, or otherwise not trained."""
    agents: Mapping[str, Arguments] = field(
        default_factory=lambda: {name: {"agent": name} for name in AGENTS}
    )
    """By a name for each: the ``agent`` that `nas-gym search` knows by this, and arguments of it
    that replace its defaults."""
    datasets: tuple[str, ...] = ()
    """Data sets of the benchmark; default: the environment's own."""
    env_arguments: Arguments = field(default_factory=dict)
    report_arguments: Arguments = field(default_factory=dict)
    """Arguments of the environment whose record a result is read from, where these differ: after
    200 epochs, for instance, where a search sees 12."""
    report_datasets: tuple[str, ...] = ()
    """Data sets on which what a search found is scored; default: the one it was found on. On others
    it is transferred: chosen by its reward on the search's data set, and scored on these."""
    budget: Literal["evaluations", "simulated-seconds"] = "evaluations"
    limits: tuple[Above0, ...] = (150.0,)
    """Budgets. A search goes on until the largest is spent, and what it had found within a smaller
    one is read off."""
    pay_repeats: bool = False
    """Count a network again each time that it is asked for; otherwise it is paid for once."""
    envs: Positive = 1
    """Networks that an agent of step by step decisions designs in lock-step."""
    seeds: Positive = 20
    first_seed: Count = 0
    baseline: str = "regularized-evolution"
    """The agent that all others are tested against."""

    def __post_init__(self) -> None:
        hint = choices_hint(self.baseline, self.agents)
        require(self.baseline in self.agents, f"baseline: {self.baseline!r} takes no part; {hint}")
        from nas_agents.catalogue.agents import find_agent  # noqa: PLC0415 - `--help` needs no torch

        require(len(self.limits) > 0, "limits: name at least one budget")
        for label, made in self.agents.items():
            name = made.get("agent")
            require(isinstance(name, str), f"agents: {label} has no text as its 'agent'")
            if name != AUTO:
                find_agent(str(name))

    def searches(self) -> list[Search]:
        """Return all searches: seed after seed, so that those of an early stop are balanced."""
        budget = (self.budget, max(self.limits), self.pay_repeats, self.envs)
        return [
            Search(
                *(self.env_id, {**self.env_arguments, **place}, *budget, str(made["agent"])),
                agent_arguments={name: made[name] for name in made if name != "agent"},
                seed=seed,
            )
            for seed in range(self.first_seed, self.first_seed + self.seeds)
            for place in self.places()
            for made in self.agents.values()
        ]

    def reported(self, search: Search) -> list[Search]:
        """Return a search as one in each environment on whose record its results are scored."""
        own = {**search.env_arguments, **self.report_arguments}
        others = [{"dataset": name} for name in self.report_datasets] or [{}]
        return [replace(search, env_arguments={**own, **other}) for other in others]

    def places(self) -> list[Arguments]:
        """Return the environment's arguments by which the data sets differ."""
        return [{"dataset": name} for name in self.datasets] or [{}]


@dataclass(frozen=True)
class Search:
    """One search: all that it depends on, as plain data."""

    env_id: str
    env_arguments: Arguments
    budget: str
    limit: float
    pay_repeats: bool
    envs: int
    agent: str
    agent_arguments: Arguments
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return asdict(self)

    @property
    def dataset(self) -> str:
        """Name of the data set; "" for the environment's own."""
        return str(self.env_arguments.get("dataset", ""))
