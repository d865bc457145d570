"""Drives an on-policy Stable-Baselines3 agent asynchronously, as a strategy is driven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.catalogue.agents import Agent
from nas_agents.catalogue.automatic import too_few_updates
from nas_agents.catalogue.defaults import Plan
from nas_agents.controllers.asynchronous import PolicyGradient
from nas_agents.drivers.asynchronous import AsynchronousSearch
from nas_agents.drivers.checkpoint import agent_state, restore_agent
from nas_agents.drivers.lock_step import CHECKPOINT, lock_step_env
from nas_agents.drivers.state import Plain
from nas_agents.runs.callbacks import PassLogsOn
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.run_folder import RunFolder
from nas_gym import NASEnv
from nas_gym.sb3 import NASVecEnv


class PolicySearch(AsynchronousSearch):
    """Every worker trains a child of the policy's, which learns as they return.

    For the arguments, and what is raised, see `nas_agents.drivers.driver.make_driver`.
    """

    def __init__(
        self,
        agent: Agent,
        env: NASEnv,
        plan: Plan,
        arguments: Mapping[str, Any],
        seed: int,
    ) -> None:
        made = agent.make(NASVecEnv(lock_step_env(env, plan.environments)), arguments, seed)
        self.agent = cast(OnPolicyAlgorithm, made)
        self.policy = PolicyGradient(env.search_space, self.agent, agent.entry.ranked)
        super().__init__(self.policy, env)
        self.steps = plan.in_all * plan.decisions
        notice = too_few_updates(self.agent, plan.decisions, plan.in_all)
        self.notices = [notice] if notice else []

    def run(self, recorder: Recorder) -> None:
        """See `nas_agents.drivers.driver.Driver.run`."""
        self.policy.begin(self.steps, PassLogsOn(recorder))
        super().run(recorder)

    def state(self) -> Plain:
        """Return the state of the search, with the agent's."""
        return {**super().state(), "agent": agent_state(self.agent)}

    def restore(self, state: Plain) -> None:
        """Restore a `state`."""
        super().restore(state)
        restore_agent(self.agent, state["agent"])

    def save(self, folder: RunFolder) -> None:
        """See `nas_agents.drivers.driver.Driver.save`."""
        super().save(folder)
        folder.replace(CHECKPOINT, self.agent.save)
