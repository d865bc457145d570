"""The LSTM controller of NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, sections 3.1, 3.3).

NASNet's (Zoph et al. 2018) and ENAS's (Pham et al. 2018) too, as a features extractor of
Stable-Baselines3; `nas_agents.controllers.lstm_policy` has the policies.

The observation is the whole prefix of choices, so the LSTM's output is a function of it, and no
recurrent algorithm is needed. The output is computed once for all prefixes of an episode in a
batch, and step by step while an episode is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from nas_agents.controllers.settings import controller_settings
from nas_agents.controllers.steps import controller_steps, kind_of
from nas_agents.strategies.softmax_table import NEVER
from nas_gym import InvalidSettings
from nas_gym.search_spaces import Decision

State = tuple[Tensor, Tensor]


class _Cache(NamedTuple):
    """The LSTM's outputs for N prefixes whose next decisions are in the same step."""

    parameters: tuple[Any, ...]  # their identities and versions when it was computed
    choices: Tensor  # (N, T)
    outputs: Tensor  # (N, steps, H)
    state: State


class LSTMController(BaseFeaturesExtractor):
    """Embeds a prefix and runs the LSTM over it; its features are the last output, (N, H).

    ``settings`` are a name in `settings.CONTROLLERS`, or those that differ from the defaults; the
    search space's ``decisions`` are by default the observation space's attribute.
    """

    step: Tensor
    token: Tensor
    logit: Tensor
    valid: Tensor
    anchor: Tensor
    score_scale: Tensor
    favour: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        settings: str | Mapping[str, Any] | None = None,
        decisions: Sequence[Decision] | None = None,
    ) -> None:
        chosen = controller_settings(settings)
        super().__init__(observation_space, chosen.hidden_size)
        self.settings = chosen
        decisions = decisions or getattr(observation_space, "decisions", None)
        if decisions is None:
            raise InvalidSettings(
                f"controller: {observation_space} does not state its decisions; use an environment "
                "of nas_gym as it is, or give the features extractor the search space's decisions"
            )
        steps = controller_steps(decisions, chosen.shared, chosen.index_attention)
        for name in ("step", "token", "logit", "valid", "anchor", "score_scale"):
            self.register_buffer(name, torch.from_numpy(getattr(steps, name)), persistent=False)
        self.joint = bool((self.step.diff() == 0).any())  # some step makes several decisions
        self.anchored = bool((self.anchor >= 0).any())
        self.selects = bool(((self.anchor == 0) | (self.anchor == 1)).any())

        size = chosen.hidden_size
        num_places = int(self.step[-1]) + 1 if chosen.shared else 1
        self.place = nn.Parameter(torch.empty(num_places, size))  # the first is the start token
        self.embedding = nn.Embedding(steps.num_tokens + 1, size, padding_idx=0)
        self.lstm = nn.LSTM(size, size, chosen.layers, chosen.bias, batch_first=True)
        biased = chosen.bias or chosen.favoured_ops > 0
        self.softmaxes = nn.Linear(size, max(1, steps.num_logits), biased)
        if self.anchored:
            self.w_prev = nn.Linear(size, size, bias=False)
            self.w_curr = nn.Linear(size, size, bias=False)
            self.v = nn.Linear(size, 1, bias=False)
        if self.selects:
            self.inputs = nn.Parameter(torch.empty(2, size))
        self._initialize(decisions)
        self._cache: _Cache | None = None

    @torch.no_grad()
    def _initialize(self, decisions: Sequence[Decision]) -> None:
        """Draw the weights, and set the two biases of `ControllerSettings.favoured_ops`."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -self.settings.init_range, self.settings.init_range)
        self.embedding.weight[0] = 0.0
        favour = torch.zeros(self.valid.shape)
        favoured = self.settings.favoured_ops
        if favoured:
            nn.init.zeros_(self.softmaxes.bias)
            for number, decision in enumerate(decisions):
                cell = decision.name.partition("/")[0]
                if kind_of(decision) == "op" and cell in ("normal", "reduction"):
                    self.softmaxes.bias[self.logit[number, :favoured]] = 10.0
                    if cell == "normal":
                        favour[number] = -0.25
                        favour[number, :favoured] = 0.25
        self.register_buffer("favour", favour, persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the features, (N, H), of prefixes: (N, T) integers, or SB3's one-hot codes."""
        if observations.shape[1] != len(self.token):
            parts = observations.split((self.valid.sum(1) + 1).tolist(), dim=1)
            observations = torch.stack([part.argmax(1) for part in parts], dim=1)
        return self.outputs(observations)[0]

    def logits(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return features, (N, H), and the next decisions' logits, (N, A), of (N, T) prefixes.

        A finished architecture's are those of its last decision; they have no meaning.
        """
        settings = self.settings
        features, anchors, decision = self.outputs(observations)
        logits = self.softmaxes(features).gather(1, self.logit[decision])

        # Attention over hidden states and skip connections
        attended = self.anchor[decision] >= 0
        if self.anchored:
            score = self.v((self.w_prev(anchors) + self.w_curr(features)[:, None]).tanh())[..., 0]
            logits = torch.where(attended, self.score_scale[decision] * score, logits)

        if settings.temperature is not None:
            logits = logits / settings.temperature
        if settings.tanh_constant is not None:
            reduced = torch.where(attended, 1.0, 1 / settings.op_tanh_reduce)
            logits = settings.tanh_constant * reduced * logits.tanh()
        if settings.favoured_ops:
            logits = logits + self.favour[decision]
        return features, logits.masked_fill(~self.valid[decision], NEVER)

    def outputs(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the LSTM over prefixes, (N, T).

        Returns:
            The output of the next decision's step, (N, H); the anchors by which attention scores
            its choices, (N, A, H); and the next decision, (N,).
        """
        decided = (observations > 0).sum(1)
        steps = self.step[decided]
        decision = decided.clamp(max=len(self.token) - 1)
        if torch.is_grad_enabled() or self.training or (steps != steps[0]).any():
            longest, rows = _longest(observations)
            outputs, _ = self._run(longest, 0, int(steps.max()) + 1, None)
        else:
            outputs = self._extended(observations, int(steps[0]) + 1)
            rows = torch.arange(len(steps), device=steps.device)
        features = outputs[rows, steps]  # (N, H)
        if not self.anchored:
            return features, features, decision
        inputs = self.inputs if self.selects else outputs.new_zeros(2, outputs.shape[2])
        pool = torch.cat([inputs.expand(len(outputs), -1, -1), outputs], dim=1)
        return features, pool[rows[:, None], self.anchor[decision].clamp(min=0)], decision

    def _run(
        self, observations: Tensor, first: int, last: int, state: State | None
    ) -> tuple[Tensor, State]:
        """Return the LSTM's outputs of steps ``first`` to ``last``, (N, last - first, H).

        The input of a step is the embedding of the choice of the previous step; after an anchor
        point, it is the sum of the embeddings of all its choices.
        """
        places = torch.arange(len(self.token), device=observations.device)
        embedded = self.embedding(self.token[places, observations.long()])  # (N, T, H)
        if self.joint:
            zeros = embedded.new_zeros(len(embedded), int(self.step[-1]), embedded.shape[2])
            embedded = zeros.index_add(1, self.step[:-1], embedded)  # (N, S, H)
        start = self.place[0].expand(len(embedded), 1, -1)
        if self.settings.shared:
            embedded = embedded + self.place[1:]
        inputs = torch.cat([start, embedded], dim=1)
        return self.lstm(inputs[:, first:last], state)  # type: ignore[no-any-return]

    def _extended(self, observations: Tensor, length: int) -> Tensor:
        """Return the outputs, (N, length, H), of prefixes that are read in ``length`` steps.

        If the last call had beginnings of the same prefixes, under the same parameters, only the
        steps after these are computed.
        """
        parameters = tuple((each.data_ptr(), each._version) for each in self.parameters())
        choices = observations * (self.step[:-1] < length - 1)  # those that the LSTM reads
        cache = self._cache
        cached = cache.outputs.shape[1] if cache else 0
        beginnings = choices * (self.step[:-1] < cached - 1)
        if (
            cache is None
            or cache.parameters != parameters
            or cached > length
            or not torch.equal(cache.choices, beginnings)
        ):
            outputs, state = self._run(choices, 0, length, None)
        elif cached == length:
            return cache.outputs
        else:
            outputs, state = self._run(choices, cached, length, cache.state)
            outputs = torch.cat([cache.outputs, outputs], dim=1)
        self._cache = _Cache(parameters, choices.clone(), outputs, state)
        return outputs


def _longest(observations: Tensor) -> tuple[Tensor, Tensor]:
    """Return the prefixes that begin no other one, (L, T), and for each its row there, (N,).

    `unique` sorts: a prefix stands directly before those that it begins.
    """
    ordered, places = torch.unique(observations, dim=0, return_inverse=True)
    begins = ((ordered[:-1] == ordered[1:]) | (ordered[:-1] == 0)).all(1)
    longest = torch.cat([~begins, begins.new_ones(1)])
    return ordered[longest], (longest.cumsum(0) - longest.long())[places]
