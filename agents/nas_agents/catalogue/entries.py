"""The agents that ``--agent`` names, with defaults that suit a reward at the end of an episode.

The whole reward comes with the last of T decisions, and every decision had its part in it. So
nothing is discounted, returns are not bootstrapped (GAE's lambda is 1; in the off-policy
algorithms the return spans T steps), and rollouts are whole episodes. All values are plain data,
the same that an RL Zoo file holds (`nas_agents.catalogue.rl_zoo`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_gym.errors import require


@dataclass(frozen=True)
class Plan:
    """What the defaults follow from."""

    decisions: int
    """T, the length of an episode."""
    episodes: int
    """How many there will be; more than can be made, if time alone ends the search."""
    environments: int = 1
    """N, the episodes in lock-step."""

    def steps(self, episodes: int) -> int:
        """Steps of each environment in which all N have about so many episodes, N at least."""
        return max(1, round(episodes / self.environments)) * self.decisions


Arguments = dict[str, Any]


def none(plan: Plan) -> Arguments:
    """The algorithm's own."""
    return {}


def ppo(plan: Plan) -> Arguments:
    """Updates after ten architectures; NASNet's controller did after twenty."""
    n_steps = plan.steps(10)
    return {
        "n_steps": n_steps,
        "batch_size": n_steps * plan.environments // 2,
        "n_epochs": 8,
        "learning_rate": 1e-3,
        "ent_coef": 0.01,
        **ON_POLICY,
    }


def recurrent_ppo(plan: Plan) -> Arguments:
    """As `ppo`, with a small LSTM; its batches are a few times slower."""
    return {
        **ppo(plan),
        "policy": "nas_agents.controllers.policies.LstmPolicy",
        "policy_kwargs": {"lstm_hidden_size": 64},
    }


def a2c(plan: Plan) -> Arguments:
    """Updates after five architectures; advantages are normalized, since accuracies are close."""
    return {
        "n_steps": plan.steps(5),
        "learning_rate": 2e-3,
        "ent_coef": 0.01,
        "normalize_advantage": True,
        "use_rms_prop": False,
        **ON_POLICY,
    }


def trpo(plan: Plan) -> Arguments:
    """Updates after twenty architectures, with the larger steps that few updates need."""
    n_steps = plan.steps(20)
    return {
        "n_steps": n_steps,
        "batch_size": n_steps * plan.environments // 2,
        "target_kl": 0.03,
        **ON_POLICY,
    }


ON_POLICY: Arguments = {"gamma": 1.0, "gae_lambda": 1.0}
"""Not discounted, and not bootstrapped from the value function."""


def dqn(plan: Plan) -> Arguments:
    """Explores in the first half of the search, at most in 1,000 episodes.

    From then on, at most one decision in two episodes is drawn at random.
    """
    exploring = min(plan.episodes / 2, 1000)
    return {
        **_off_policy(plan),
        "exploration_fraction": round(exploring / plan.episodes, 9),
        "exploration_final_eps": round(min(0.05, 0.5 / plan.decisions), 4),
    }


def qr_dqn(plan: Plan) -> Arguments:
    """As `dqn`, with few quantiles: a search sees few rewards of one decision."""
    return {**dqn(plan), "policy_kwargs": {"n_quantiles": 20}}


def sac(plan: Plan) -> Arguments:
    """SAC's, and TQC's: a small fixed entropy bonus, for accuracies differ by hundredths."""
    return {**_off_policy(plan), "ent_coef": 0.002, "policy_kwargs": {"net_arch": [64, 64]}}


def crossq(plan: Plan) -> Arguments:
    """As `sac`, with a wider critic, as its paper has it."""
    networks = {"pi": [64, 64], "qf": [128, 128]}
    return {**_off_policy(plan), "ent_coef": 0.002, "policy_kwargs": {"net_arch": networks}}


def td3(plan: Plan) -> Arguments:
    """TD3's, and DDPG's: a policy and a replay buffer for choices, of
    `nas_agents.controllers.choice_policy`.

    Returns are of whole episodes; with a replay buffer that is named, SB3 has ``n_steps`` and
    ``gamma`` of them among the buffer's arguments. Scores of a policy that is sure of a choice lie
    near -1 and 1: under noise of a deviation of 0.75, held to that range, it takes about one
    decision in a hundred another way.
    """
    arguments = _off_policy(plan)
    returns = {"n_steps": arguments.pop("n_steps"), "gamma": arguments["gamma"]}
    return {
        **arguments,
        "policy": "nas_agents.controllers.choice_policy.ChoicePolicy",
        "policy_kwargs": {"net_arch": [64, 64]},
        "replay_buffer_class": "nas_agents.controllers.choice_policy.ChoiceReplayBuffer",
        "replay_buffer_kwargs": returns,
        "noise_std": 0.75,
    }


def _off_policy(plan: Plan) -> Arguments:
    """Random for a tenth of the search, at most 50 episodes; then a gradient step a decision.

    The return spans all T decisions, so that the critic learns from the reward itself.
    """
    random = max(1, min(50, round(0.1 * plan.episodes)))
    return {
        "learning_rate": 1e-3,
        "buffer_size": 5000 * plan.decisions,
        "batch_size": 64,
        "learning_starts": random * plan.decisions,
        "train_freq": plan.decisions,
        "gradient_steps": plan.decisions * plan.environments,
        "gamma": 1.0,
        "n_steps": plan.decisions,
    }


def ars(plan: Plan) -> Arguments:
    """Updates after sixteen architectures, one for each policy that is tried.

    Raises:
        InvalidSettings: there are several environments. A policy without noise designs the same
            network in each of them.
    """
    require(
        plan.environments == 1,
        f"envs: ars tries one policy at a time, and would design {plan.environments} equal "
        "networks; use 1",
    )
    return {
        "policy": "LinearPolicy",
        "n_delta": 8,
        "n_top": 4,
        "learning_rate": 0.05,
        "delta_std": 0.1,
    }


def regularized_evolution(plan: Plan) -> Arguments:
    """NAS-Bench-201's population, or AmoebaNet's for a search that is ten times as long."""
    population, sample = (10, 3) if plan.episodes < 1000 else (100, 25)
    return {"population": population, "sample": sample}


def reinforce(plan: Plan) -> Arguments:
    """With the LSTM controller; larger steps than NAS's, for a search of fewer architectures."""
    return {"learning_rate": 5e-3, "n_episodes": 5}


def nas(plan: Plan) -> Arguments:
    """NAS's controller and REINFORCE (Zoph & Le 2017, section 4.1)."""
    return {"learning_rate": 6e-4, "n_episodes": 8, "policy_kwargs": {"controller": "nas"}}


def nasnet(plan: Plan) -> Arguments:
    """NASNet's controller and PPO (Zoph et al. 2018, appendix A.1).

    What the paper does not tell is Stable-Baselines3's own, but for the passes through the batch.
    """
    n_steps = plan.steps(20)
    return {
        "n_steps": n_steps,
        "batch_size": n_steps * plan.environments,
        "n_epochs": 4,
        "learning_rate": 3.5e-4,
        "ent_coef": 1e-5,
        "baseline_decay": 0.95,
        "policy_kwargs": {"controller": "nasnet"},
        **ON_POLICY,
    }


def enas(plan: Plan) -> Arguments:
    """The released micro search's controller, and about 150 epochs of the shared weights, or fewer
    in a short search: an update follows each.
    """
    return {
        **ENAS_RELEASED,
        "full_entropy": True,
        "learning_rate": 0.0035,
        "n_episodes": 10,
        "episodes_an_epoch": episodes_an_epoch(plan),
        "policy_kwargs": enas_policy("enas-micro-released"),
    }


def episodes_an_epoch(plan: Plan) -> int:
    """How many episodes follow an epoch of shared weights: at least 10, for at most 150 epochs."""
    return min(300, max(10, round(plan.episodes / 150)))


def enas_policy(controller: str) -> Arguments:
    """ENAS's controller, with the Adam of the released code."""
    return {"controller": controller, "optimizer_kwargs": {"betas": [0.0, 0.999], "eps": 1e-3}}


ENAS_RELEASED: Arguments = {
    "entropy_reward": 1e-4,
    "baseline_decay": 0.99,
    "own_reward": True,
    "skip_logits": True,
}
"""What both of the released code's searches have in common. Their baseline starts at 0 and takes in
each reward by itself; ours starts at the first reward, and takes in those of an update together."""


NASBENCH201: Arguments = {
    "policy": "IndependentLogits",
    "learning_rate": 0.1,
    "n_episodes": 1,
    "baseline_decay": 0.9,
    "bias_correction": True,
    "own_reward": True,
}
"""NAS-Bench-201's settings of REINFORCE, for `nas_gym.sb3.VecWholeArchitecture` (AutoDL-Projects,
exps/NAS-Bench-201-algos/reinforce.py). Of the learning rates in its documentation and its scripts,
0.01, 0.02, 0.1, 0.2 and 0.5, this one found the best cells on CIFAR-10."""


@dataclass(frozen=True)
class AgentEntry:
    """Where an algorithm is, and how it is made."""

    path: str
    """``module:Class`` of a Stable-Baselines3 algorithm, or of a
    `nas_agents.strategies.Strategy`."""
    defaults: Callable[[Plan], Arguments]
    continuous: bool = False
    """Whether it acts through `nas_gym.wrappers.ContinuousAction`."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that the environment is made with for it, unless others are given."""


AGENTS = {
    "ppo": AgentEntry("stable_baselines3:PPO", ppo),
    "a2c": AgentEntry("stable_baselines3:A2C", a2c),
    "dqn": AgentEntry("stable_baselines3:DQN", dqn),
    "sac": AgentEntry("stable_baselines3:SAC", sac, continuous=True),
    "td3": AgentEntry("stable_baselines3:TD3", td3, continuous=True),
    "ddpg": AgentEntry("stable_baselines3:DDPG", td3, continuous=True),
    "maskable-ppo": AgentEntry("sb3_contrib:MaskablePPO", ppo),
    "recurrent-ppo": AgentEntry("sb3_contrib:RecurrentPPO", recurrent_ppo),
    "trpo": AgentEntry("sb3_contrib:TRPO", trpo),
    "qr-dqn": AgentEntry("sb3_contrib:QRDQN", qr_dqn),
    "ars": AgentEntry("sb3_contrib:ARS", ars, continuous=True),
    "tqc": AgentEntry("sb3_contrib:TQC", sac, continuous=True),
    "crossq": AgentEntry("sb3_contrib:CrossQ", crossq, continuous=True),
    "random": AgentEntry("nas_agents.strategies.random_search:RandomSearch", none),
    "regularized-evolution": AgentEntry(
        "nas_agents.strategies.regularized_evolution:RegularizedEvolution", regularized_evolution
    ),
    "local-search": AgentEntry("nas_agents.strategies.local_search:LocalSearch", none),
    "grid": AgentEntry("nas_agents.strategies.grid:Grid", none),
    "tpe": AgentEntry("nas_agents.strategies.tpe:TPE", none),
    "model-based": AgentEntry("nas_agents.strategies.model_based:ModelBased", none),
    "reinforce": AgentEntry("nas_agents.controllers.reinforce:Reinforce", reinforce),
    "nas": AgentEntry("nas_agents.controllers.reinforce:Reinforce", nas),
    "nasnet": AgentEntry("nas_agents.controllers.nasnet_ppo:BaselinePPO", nasnet),
    "enas": AgentEntry(
        "nas_agents.controllers.enas:ENAS", enas, env_arguments={"evaluator": "weight-sharing"}
    ),
}
