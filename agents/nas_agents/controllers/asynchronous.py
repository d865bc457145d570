"""Lets a policy learn from architectures whose rewards return in any order, long after drawing.

Designing takes milliseconds and a child minutes, so each idle worker gets an architecture of the
policy as it is now, and the policy pi learns from the next m that return, which earlier policies mu
drew. Advantages are weighted by pi / mu (`late_weights`); PPO's clipped ratio is to pi before the
update, and not to mu, from which most decisions would be clipped at once (decoupled PPO, Hilton et
al. 2022, https://arxiv.org/abs/2110.00641, section 3). Where more are under way than m, rewards are
late: an update makes several passes (`PASSES`), and a moving average takes each reward in once.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.controllers.episodes import MovingAverage, Step, late_weights
from nas_agents.controllers.ranked_reward import Ranks
from nas_agents.controllers.reinforce import Reinforce
from nas_agents.strategies import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require
from nas_gym.search_spaces import Choices, resolve_actions

ROLLOUTS = tuple(
    each.collect_rollouts for each in (OnPolicyAlgorithm, MaskablePPO, RecurrentPPO, Reinforce)
)
"""The ways to collect a rollout that `PolicyGradient` takes the place of."""
STATES = ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf")
PASSES = 3
"""How often an update learns from its m architectures where more than m are under way: what it has
learned shows in rewards only after these have returned."""
Episode = dict[str, NDArray[Any]]
"""The T decisions of an architecture, by the rollout buffer's names: ``observations`` (T, ...),
``actions`` (T, 1), ``rewards``, ``values`` and ``log_probs`` (T,), and ``action_masks`` (T, A) or
`STATES` (T, layers, H) where the policy has them."""


def learns_asynchronously(algorithm: type[Any]) -> bool:
    """Return True for an on-policy algorithm that collects its rollouts as its base does."""
    return getattr(algorithm, "collect_rollouts", None) in ROLLOUTS


def check_batches(agent: BaseAlgorithm) -> None:
    """Raise `InvalidSettings` if a rollout leaves a batch of one decision: its advantage has no
    deviation, and these algorithms normalize it all the same, to NaN.
    """
    if isinstance(agent, (MaskablePPO, RecurrentPPO)) and agent.normalize_advantage:
        rollout = agent.n_steps * agent.n_envs
        size = agent.batch_size or rollout
        require(
            (rollout - 1) % size > 0,
            f"batch_size: of {rollout} decisions, batches of {size} leave one alone, whose "
            f"advantage cannot be normalized; take {rollout}, for instance",
        )


class PolicyGradient(Strategy):
    """An on-policy algorithm as a strategy that proposes what its policy draws.

    An update takes as many architectures as a rollout of the algorithm has, one at least.

    Args:
        search_space: Search space of the proposals.
        agent: The algorithm, made for an environment with this search space.
        ranked: Learn from ranks, as `VecRankedReward`.

    Raises:
        InvalidSettings: see `check_batches`.
    """

    def __init__(
        self, search_space: SearchSpace, agent: OnPolicyAlgorithm, ranked: bool = False
    ) -> None:
        super().__init__(search_space)
        self.agent, self.policy = agent, agent.policy
        self.ranks = Ranks() if ranked else None
        self.proposed = 0
        self.under_way: dict[bytes, list[Episode]] = {}
        """By their choices."""
        self.returned: list[Episode] = []
        """Those from which nothing was learned yet."""
        self._drawn: list[tuple[Choices, Episode]] = []
        """Those to propose next."""
        maskable = isinstance(self.policy, MaskableActorCriticPolicy)
        self._masked: bool = getattr(agent, "use_masking", maskable)
        self.batch = self._episodes_of_an_update()
        check_batches(agent)

    def _episodes_of_an_update(self) -> int:
        """Return m, and size the rollout buffer for whole episodes."""
        if isinstance(self.agent, Reinforce):
            return self.agent.n_episodes
        length, buffer = len(self.search_space.decisions), self.agent.rollout_buffer
        episodes = max(1, round(self.agent.n_steps / length))
        buffer.buffer_size = self.agent.n_steps = episodes * length
        if isinstance(self.agent, RecurrentPPO):
            buffer.hidden_state_shape = (buffer.buffer_size, *buffer.hidden_state_shape[1:])  # type: ignore[attr-defined]
        buffer.reset()
        return episodes * self.agent.n_envs

    def begin(self, steps: int, callback: BaseCallback | None = None) -> None:
        """Prepare for ``steps`` decisions in all; ``callback`` may add outputs to the logger."""
        _, made = self.agent._setup_learn(steps, callback)
        made.on_training_start(locals(), globals())

    def propose(self) -> Choices:
        """Return an architecture that the policy draws."""
        if not self._drawn:
            self._draw()
        self.proposed += 1
        choices, episode = self._drawn.pop()
        self.under_way.setdefault(choices.tobytes(), []).append(episode)
        return choices

    @torch.no_grad()
    def _draw(self) -> None:
        """Draw as many architectures as are proposed until the next update: a single one costs half
        as much. The search space may grow before (`SearchSpace.stage`).
        """
        stage_at, first = self.search_space.stage, self.proposed
        space: Any = self.agent.observation_space
        stage, length = stage_at(first), len(self.search_space.decisions)
        same = (stage_at(first + more) == stage for more in range(self.batch))
        number = sum(takewhile(bool, same))
        self.policy.set_training_mode(False)
        choices = np.zeros((number, length), dtype=np.int64)
        partial = np.zeros_like(choices)  # 0 = not decided yet
        columns: Episode = {
            "observations": np.zeros((number, length, *space.shape), space.dtype),
            "actions": np.zeros((number, length, 1), dtype=np.int64),
            "rewards": np.zeros((number, length), dtype=np.float32),
        }
        masks = np.ones((number, length, stage.num_actions), dtype=np.bool_)
        for step in range(length):
            masks[:, step] = stage.action_masks(choices[:, :step])
            columns["observations"][:, step] = space.encode(partial)
            actions = self._act(columns, masks[:, step], step)
            choices[:, step], _ = resolve_actions(masks[:, step], actions)
            columns["actions"][:, step, 0] = actions
            partial[:, step] = choices[:, step] + 1
        if self._masked:
            columns["action_masks"] = masks
        if "log_probs" not in columns:
            flat = {name: rows.reshape(-1, *rows.shape[2:]) for name, rows in columns.items()}
            values, log_probs = self._evaluate(flat)
            columns["values"] = values.reshape(number, length)
            columns["log_probs"] = log_probs.reshape(number, length)
        for index in reversed(range(number)):
            episode = {name: rows[index].copy() for name, rows in columns.items()}
            self._drawn.append((choices[index].copy(), episode))

    def _act(self, columns: Episode, masks: NDArray[np.bool_], step: int) -> NDArray[np.int64]:
        """Return the policy's actions in a step of m episodes, (m,)."""
        policy: Any = self.policy
        observations = self._tensor(columns["observations"][:, step])
        if isinstance(self.agent, RecurrentPPO):
            return self._act_recurrently(columns, observations, step)
        masking = {"action_masks": masks} if self._masked else {}
        actions: NDArray[np.int64] = policy._predict(observations, **masking).cpu().numpy()
        return actions

    def _act_recurrently(
        self, columns: Episode, observations: torch.Tensor, step: int
    ) -> NDArray[np.int64]:
        """Act as `_act`, and keep values, log-probabilities and the LSTM's states before it."""
        number, length = columns["rewards"].shape
        if step == 0:
            lstm: Any = self.policy.lstm_actor
            shape = (lstm.num_layers, number, lstm.hidden_size)
            zeros = self._tensor(np.zeros(shape, dtype=np.float32))
            self._states = RNNStates((zeros, zeros), (zeros, zeros))
            for name in STATES:
                columns[name] = np.zeros((number, length, shape[0], shape[2]), dtype=np.float32)
            for name in ("values", "log_probs"):
                columns[name] = np.zeros((number, length), dtype=np.float32)
        for name, state in zip(STATES, (*self._states.pi, *self._states.vf), strict=True):
            columns[name][:, step] = state.swapaxes(0, 1).cpu()
        starts = self._tensor(np.full(number, step == 0, dtype=np.float32))
        actions, values, log_probs, self._states = self.policy(observations, self._states, starts)
        columns["values"][:, step] = values.flatten().cpu()
        columns["log_probs"][:, step] = log_probs.cpu()
        return np.asarray(actions.cpu())

    def _evaluate(self, decisions: Episode) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return values (0 where there are none) and log-probabilities of S decisions, (S,)."""
        policy: Any = self.policy
        observations = self._tensor(decisions["observations"])
        actions = self._tensor(decisions["actions"].flatten())
        masking = {"action_masks": decisions["action_masks"]} if self._masked else {}
        values, log_probs, _ = policy.evaluate_actions(observations, actions, **masking)
        if values is None:
            values = torch.zeros(len(actions))
        return values.flatten().cpu().numpy(), log_probs.cpu().numpy()

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(array, device=self.agent.device)

    def observe(self, choices: Choices, reward: float) -> None:
        """Add an architecture that returned; learn if there are enough."""
        drawn = self.under_way[choices.tobytes()]
        episode = drawn.pop(0)
        if not drawn:
            del self.under_way[choices.tobytes()]
        episode["rewards"][-1] = reward if self.ranks is None else self.ranks.score(reward)
        self.returned.append(episode)
        assert self.agent.ep_info_buffer is not None
        self.agent.ep_info_buffer.append({"r": reward, "l": len(choices), "t": time.time()})
        if len(self.returned) == self.batch:
            self._learn()

    def _learn(self) -> None:
        agent, returned = self.agent, self.returned
        self.returned, self._drawn = [], []
        agent.num_timesteps += sum(each["rewards"].size for each in returned)
        done = min(agent.num_timesteps, agent._total_timesteps)  # repeats may be free
        agent._update_current_progress_remaining(done, agent._total_timesteps)
        late = sum(map(len, self.under_way.values())) > self.batch
        self._learn_from(returned)
        if late and not isinstance(agent, RecurrentPPO):
            baseline = getattr(agent, "baseline", None)
            with baseline.held() if isinstance(baseline, MovingAverage) else nullcontext():
                for _ in range(PASSES - 1):
                    self._learn_from(returned)
        agent.dump_logs(agent.num_timesteps // (self.batch * len(self.search_space.decisions)))

    def _learn_from(self, episodes: list[Episode]) -> None:
        agent = self.agent
        columns = {name: np.stack([each[name] for each in episodes]) for name in episodes[0]}
        if isinstance(agent, Reinforce):
            agent.steps = _steps(columns, agent.device)
        else:
            self._fill(columns)
        agent.train()

    def _fill(self, columns: Episode) -> None:
        """Make the episodes, (m, T, ...) each, the algorithm's rollout, of (n_steps, n_envs)."""
        agent, buffer = self.agent, self.agent.rollout_buffer
        buffer.reset()
        columns["episode_starts"] = np.zeros_like(columns["rewards"])
        columns["episode_starts"][:, 0] = 1
        for name, rows in columns.items():
            table = rows.reshape(agent.n_envs, agent.n_steps, *rows.shape[2:]).swapaxes(0, 1)
            if name in STATES:  # (n_steps, layers, n_envs, H)
                table = table.swapaxes(1, 2)
            getattr(buffer, name)[...] = table
        buffer.pos, buffer.full = agent.n_steps, True
        ended = np.ones(agent.n_envs, dtype=np.bool_)
        buffer.compute_returns_and_advantage(torch.zeros(agent.n_envs), ended)
        if not isinstance(agent, RecurrentPPO):  # whose states would have to be computed again
            ratio = self._ratio(buffer)
            buffer.advantages = buffer.advantages * late_weights(ratio, buffer.advantages)
            buffer.log_probs = buffer.log_probs + np.log(ratio)

    @torch.no_grad()
    def _ratio(self, buffer: Any) -> NDArray[np.float32]:
        """Return pi / mu of a rollout's actions, (n_steps, n_envs)."""
        flat = {
            name: getattr(buffer, name).reshape(-1, *getattr(buffer, name).shape[2:])
            for name in ("observations", "actions", "action_masks")
            if hasattr(buffer, name)
        }
        _, log_probs = self._evaluate(flat)
        ratio: NDArray[np.float32] = np.exp(
            log_probs.reshape(buffer.log_probs.shape) - buffer.log_probs
        )
        return ratio


def _steps(columns: Episode, device: torch.device) -> list[Step]:
    """Return m episodes, (m, T, ...) each, as the T steps of `Reinforce`."""
    names = ("observations", "actions", "log_probs")
    tensors = {name: torch.as_tensor(columns[name], device=device) for name in names}
    masks, length = columns.get("action_masks"), columns["rewards"].shape[1]
    return [
        Step(
            tensors["observations"][:, step],
            tensors["actions"][:, step, 0],
            None if masks is None else masks[:, step],
            columns["rewards"][:, step],
            np.full(len(columns["rewards"]), step == length - 1),
            tensors["log_probs"][:, step],
        )
        for step in range(length)
    ]
