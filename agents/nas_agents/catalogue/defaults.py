"""The agents' defaults, which suit a reward at the end of an episode.

The whole reward is given at the last of T decisions, and every decision had its part in it. So
nothing is discounted, returns are not bootstrapped (GAE's lambda is 1; in the off-policy
algorithms the return spans T steps), and rollouts are whole episodes. All values are plain data,
the same that an RL Zoo file holds (`examples/rl_zoo`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nas_gym.errors import require

FOREVER = 10**9
"""Number of episodes for which a search plans that time or accuracy ends."""


@dataclass(frozen=True)
class Plan:
    """The figures of a search from which the defaults follow."""

    decisions: int
    """T, the length of an episode."""
    episodes: int
    """Number of episodes; more than can be made, if time alone ends the search."""
    environments: int = 1
    """N, the number of episodes in lock-step."""
    objectives: int = 1
    """K, the length of a vector reward; 1 for a number."""
    extended: int = 0
    """Number of episodes of a search that goes on for longer; the defaults are as it began."""

    @property
    def in_all(self) -> int:
        """Number of episodes, those of an extension included."""
        return max(self.episodes, self.extended)

    def steps(self, episodes: int) -> int:
        """Return an environment's steps in which all N have about ``episodes``, N at least."""
        return max(1, round(episodes / self.environments)) * self.decisions


Arguments = dict[str, Any]


def ppo(plan: Plan) -> Arguments:
    """Update after ten architectures; NASNet's controller did after twenty.

    Rewards are ranks (`nas_agents.controllers.ranked_reward`): on NAS-Bench-201's CIFAR-10 table,
    150 evaluations, the best had a test accuracy of 94.23 on average of 12 searches, and of 94.03
    on average of 20 with rewards as they are.
    """
    rest = {"n_epochs": 8, "learning_rate": 1e-3, "ent_coef": 0.01}
    return {**_rollouts(plan, 10, batches=2), **rest, **ON_POLICY}


def recurrent_ppo(plan: Plan) -> Arguments:
    """Take `ppo`'s, with a small LSTM; its batches are a few times slower."""
    policy = "nas_agents.controllers.policies.LstmPolicy"
    return {**ppo(plan), "policy": policy, "policy_kwargs": {"lstm_hidden_size": 64}}


def a2c(plan: Plan) -> Arguments:
    """Update after five architectures, on normalized advantages, since accuracies are close."""
    return {
        **{"n_steps": plan.steps(5), "learning_rate": 2e-3, "ent_coef": 0.01},
        **{"normalize_advantage": True, "use_rms_prop": False, **ON_POLICY},
    }


def trpo(plan: Plan) -> Arguments:
    """Update after twenty architectures, with the larger steps that few updates need."""
    return {**_rollouts(plan, 20, batches=2), "target_kl": 0.03, **ON_POLICY}


def _rollouts(plan: Plan, episodes: int, batches: int) -> Arguments:
    """Return the length of a rollout, and the size of its batches, the last of which is smaller
    where the rollout is odd: a batch of one decision has no deviation to normalize it by.
    """
    n_steps = plan.steps(episodes)
    return {"n_steps": n_steps, "batch_size": math.ceil(n_steps * plan.environments / batches)}


ON_POLICY: Arguments = {"gamma": 1.0, "gae_lambda": 1.0}
"""Not discounted, and not bootstrapped from the value function."""


def dqn(plan: Plan) -> Arguments:
    """Explore in the first half of the search, at most in 1,000 episodes.

    From then on, at most one decision in two episodes is drawn at random.
    """
    fraction = round(min(plan.episodes / 2, 1000) / plan.episodes, 9)
    final = round(min(0.05, 0.5 / plan.decisions), 4)
    exploration = {"exploration_fraction": fraction, "exploration_final_eps": final}
    return {**_off_policy(plan), **exploration}


def qr_dqn(plan: Plan) -> Arguments:
    """Take `dqn`'s, with few quantiles: a search sees few rewards of one decision."""
    return {**dqn(plan), "policy_kwargs": {"n_quantiles": 20}}


def sac(plan: Plan) -> Arguments:
    """Give SAC and TQC a small fixed entropy bonus, since accuracies differ by hundredths."""
    return {**_off_policy(plan), "ent_coef": 0.002, "policy_kwargs": {"net_arch": [64, 64]}}


def crossq(plan: Plan) -> Arguments:
    """Take `sac`'s, with the wider critic of CrossQ's paper, and twice as many gradient steps.

    With as many as `sac`, the best of 150 networks on CIFAR-10's table had a reward of 0.8371 on
    average of 12 searches, with twice as many 0.8414.
    """
    networks, common = {"pi": [64, 64], "qf": [128, 128]}, _off_policy(plan)
    steps = 2 * common["gradient_steps"]
    rest = {"ent_coef": 0.002, "policy_kwargs": {"net_arch": networks}, "gradient_steps": steps}
    return {**common, **rest}


def td3(plan: Plan) -> Arguments:
    """Give TD3 and DDPG the policy and the replay buffer of `controllers.choice_policy`.

    Returns are of whole episodes; of a replay buffer that is named, SB3 takes ``n_steps`` and
    ``gamma`` among the buffer's arguments. Scores of a policy that is sure of a choice lie near -1
    and 1: noise with a deviation of 0.75, held to that range, changes about one decision in a
    hundred.
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
    """Choose at random for a tenth of the search, at most 50 episodes, then learn.

    There is a gradient step for every second decision, but at most five an episode.

    The return spans all T decisions, so that the critic learns from the reward itself. On
    NAS-Bench-201's CIFAR-10 table, 150 evaluations, the best rewards of DQN, TD3 and SAC did not
    differ with a gradient step for every decision (8 searches each). But then they settle on
    networks that they know: SAC designed 1,309 networks on average until 150 were different, not
    175.
    """
    random = max(1, min(50, round(0.1 * plan.episodes)))
    steps = plan.decisions
    updates = max(1, min(5, steps // 2)) * plan.environments
    return {
        **{"learning_rate": 1e-3, "buffer_size": 5000 * steps, "batch_size": 64},
        **{"learning_starts": random * steps, "train_freq": steps},
        **{"gradient_steps": updates, "gamma": 1.0, "n_steps": steps},
    }


def ars(plan: Plan) -> Arguments:
    """Update after sixteen architectures, one for each policy that is tried."""
    equal = f"and would design {plan.environments} equal networks; use 1"
    require(plan.environments == 1, f"envs: ars tries one policy at a time, {equal}")
    rates = {"learning_rate": 0.05, "delta_std": 0.1}
    return {"policy": "LinearPolicy", "n_delta": 8, "n_top": 4, **rates}


def regularized_evolution(plan: Plan) -> Arguments:
    """Take NAS-Bench-201's population, or AmoebaNet's for a search that is ten times as long."""
    population, sample = (10, 3) if plan.episodes < 1000 else (100, 25)
    return {"population": population, "sample": sample}


def nsga2(plan: Plan) -> Arguments:
    """Take ten generations or more: a population of 10 to 50."""
    return {"objectives": plan.objectives, "population": max(10, min(50, plan.episodes // 10))}


def conditioned_ppo(plan: Plan) -> Arguments:
    """Take `ppo`'s; the policy reads the weights beside the architecture."""
    return {**ppo(plan), "policy": "MultiInputPolicy"}


def reinforce(plan: Plan) -> Arguments:
    """Take larger steps than NAS's, for a search of fewer architectures."""
    return {"learning_rate": 5e-3, "n_episodes": 5}


def nas(plan: Plan) -> Arguments:
    """Take NAS's controller and REINFORCE (Zoph & Le 2017, section 4.1)."""
    return {"learning_rate": 6e-4, "n_episodes": 8, "policy_kwargs": {"controller": "nas"}}


def nasnet(plan: Plan) -> Arguments:
    """Take NASNet's controller and PPO (Zoph et al. 2018, appendix A.1).

    What the paper does not say is Stable-Baselines3's own, but for the passes through the batch.
    """
    return {
        **_rollouts(plan, 20, batches=1),
        **{"n_epochs": 4, "learning_rate": 3.5e-4, "ent_coef": 1e-5, "baseline_decay": 0.95},
        "policy_kwargs": {"controller": "nasnet"},
        **ON_POLICY,
    }


def lstm_ppo(plan: Plan) -> Arguments:
    """Take `nasnet`'s, with larger steps and more entropy, for some thousand architectures.

    In a search of known length, from 1,000 architectures on, the entropy's weight falls: the policy
    explores first and settles at the end. Chosen on NASNet's decisions under a synthetic reward
    (`examples.benchmarks.landscape`, landscapes and seeds 0 to 5). After 2,000 architectures, it
    had 0.979 on average; with constant weights of 0.03, 0.05 and 0.1, 0.957, 0.966 and 0.957. After
    500, a constant 0.03 and steps of 3e-3 had 0.898, a falling weight 0.857.
    """
    if 1_000 <= plan.episodes < FOREVER:
        rates = {"learning_rate": 2e-3, "ent_coef": 0.12, "final_ent_coef": 0.02}
    else:
        rates = {"learning_rate": 3e-3, "ent_coef": 0.03}
    return {**nasnet(plan), **rates, "normalize_advantage": True}


def enas(plan: Plan) -> Arguments:
    """Take the released micro search's controller, for about 150 epochs of the shared weights.

    A short search has fewer epochs. Updates of the controller follow each.
    """
    return {
        **ENAS_RELEASED,
        **{"full_entropy": True, "learning_rate": 0.0035, "n_episodes": 10},
        "episodes_an_epoch": episodes_an_epoch(plan),
        "policy_kwargs": enas_policy("enas-micro-released"),
    }


def episodes_an_epoch(plan: Plan) -> int:
    """Return how many episodes follow an epoch of shared weights: 10 to 300, for 150 epochs."""
    return min(300, max(10, round(plan.episodes / 150)))


def tunas(plan: Plan) -> Arguments:
    """Take the released constants of TuNAS; the number of architectures of an update is ours.

    The learning rate is that for batches of 4,096 training images. The released baseline takes in
    the mean of an update's rewards, with a decay of 0.95 (``mean_reward``). Ours takes them in one
    by one, with the tenth root of it for ten rewards: it forgets as much in an update, but the last
    reward has 5% more weight than the first.
    """
    return {
        **{"learning_rate": 4.8e-3, "n_episodes": 10, "delay": 0.25, "growth": 10.0},
        **{"baseline_decay": round(0.95 ** (1 / 10), 6), "own_reward": True},
        "episodes_an_epoch": episodes_an_epoch(plan),
        "policy_kwargs": _independent_logits(init_std=0.0),
    }


def proxylessnas(plan: Plan) -> Arguments:
    """Take the released constants of ProxylessNAS-R: 40 of 160 epochs are its warm-up.

    Its baseline forgets 0.99 of itself in an update. The released code validates the architectures
    of an update on one minibatch; here, each has the next.
    """
    return {
        **{"learning_rate": 1e-3, "n_episodes": 10, "delay": 0.25, "growth": 1.0},
        **{"baseline_decay": 0.01, "own_reward": True, "mean_reward": True},
        "episodes_an_epoch": episodes_an_epoch(plan),
        "policy_kwargs": _independent_logits(init_std=1e-3),
    }


def _independent_logits(init_std: float) -> Arguments:
    """Return logits that begin around 0, with the Adam of both released codes."""
    return {"init_std": init_std, "optimizer_kwargs": {"betas": [0.0, 0.999]}}


def enas_policy(controller: str) -> Arguments:
    """Return ENAS's controller, with the Adam of the released code."""
    return {"controller": controller, "optimizer_kwargs": {"betas": [0.0, 0.999], "eps": 1e-3}}


ENAS_RELEASED: Arguments = {
    **{"entropy_reward": 1e-4, "baseline_decay": 0.99},
    **{"own_reward": True, "skip_logits": True},
}
"""Common to both searches of the released code. Their baseline starts at 0 and takes in each reward
by itself; ours starts at the first reward, and takes in those of an update together."""

NASBENCH201: Arguments = {
    **{"policy": "IndependentLogits", "learning_rate": 0.1, "n_episodes": 1},
    **{"baseline_decay": 0.9, "bias_correction": True, "own_reward": True},
}
"""NAS-Bench-201's settings of REINFORCE, for `nas_gym.sb3.VecWholeArchitecture` (AutoDL-Projects,
exps/NAS-Bench-201-algos/reinforce.py). Of the learning rates in its documentation and its scripts,
0.01, 0.02, 0.1, 0.2 and 0.5, this one found the best cells on CIFAR-10."""
