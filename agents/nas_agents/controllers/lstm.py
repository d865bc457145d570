"""The LSTM controller of NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, sections 3.1, 3.3),

NASNet (Zoph et al. 2018) and ENAS (Pham et al. 2018), as a features extractor of
Stable-Baselines3; `nas_agents.controllers.lstm_policy` has the policies.

The observation is the whole prefix of choices, so the controller needs no hidden state between
steps, and no recurrent algorithm: what the LSTM says is a function of the observation. It is
computed once for all prefixes of an episode in a batch, and step by step while an episode is
under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from nas_agents.controllers.policies import NEVER
from nas_agents.controllers.settings import controller_settings
from nas_agents.controllers.steps import controller_steps, kind_of
from nas_gym.errors import InvalidSettings
from nas_gym.search_spaces import Decision


class _Reading(NamedTuple):
    """What the LSTM said of N prefixes whose next decisions are in the same step."""

    key: tuple[Any, ...]
    """What it depends on besides the prefixes: the parameters."""
    choices: torch.Tensor  # (N, T): what was read
    outputs: torch.Tensor  # (N, steps read, H)
    state: tuple[torch.Tensor, torch.Tensor]


class LSTMController(BaseFeaturesExtractor):
    """Embeds a prefix and runs the LSTM over it; its features are the last output, (N, H).

    Args:
        observation_space: Partial architectures, as nas_gym's environments have them.
        settings: A name in `controller_settings.CONTROLLERS`, or the settings that differ from the
            defaults.
        decisions: What is decided; default: what the observation space tells.

    Raises:
        InvalidSettings: the observations are no partial architectures.
    """

    step: torch.Tensor
    token: torch.Tensor
    logit: torch.Tensor
    valid: torch.Tensor
    anchor: torch.Tensor
    score_scale: torch.Tensor
    favour: torch.Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        settings: str | Mapping[str, Any] | None = None,
        decisions: Sequence[Decision] | None = None,
    ) -> None:
        self.settings = chosen = controller_settings(settings)
        super().__init__(observation_space, chosen.hidden_size)
        decisions = decisions or getattr(observation_space, "decisions", None)
        if decisions is None:
            raise InvalidSettings(
                f"controller: {observation_space} does not tell its decisions; use an environment "
                "of nas_gym as it is, or give the features extractor the search space's decisions"
            )
        steps = controller_steps(decisions, chosen.shared, chosen.index_attention)
        for name in ("step", "token", "logit", "valid", "anchor", "score_scale"):
            self.register_buffer(name, torch.from_numpy(getattr(steps, name)), persistent=False)
        self.joint = bool((self.step.diff() == 0).any())  # a step may make several decisions
        self.anchored = bool((self.anchor >= 0).any())
        self.selects = bool(((self.anchor == 0) | (self.anchor == 1)).any())
        size, bias = chosen.hidden_size, chosen.bias
        places = int(self.step[-1]) + 1 if chosen.shared else 1
        self.place = nn.Parameter(torch.empty(places, size))  # the first is the start token
        self.embedding = nn.Embedding(steps.tokens + 1, size, padding_idx=0)
        self.lstm = nn.LSTM(size, size, chosen.layers, bias, batch_first=True)
        self.softmaxes = nn.Linear(size, max(1, steps.logits), bias or chosen.favoured_ops > 0)
        if self.anchored:
            self.w_prev = nn.Linear(size, size, bias=False)
            self.w_curr = nn.Linear(size, size, bias=False)
            self.v = nn.Linear(size, 1, bias=False)
        if self.selects:
            self.inputs = nn.Parameter(torch.empty(2, size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -chosen.init_range, chosen.init_range)
        with torch.no_grad():
            self.embedding.weight[0] = 0.0
        self._favour_operations(decisions)
        self._read: _Reading | None = None

    def _favour_operations(self, decisions: Sequence[Decision]) -> None:
        """Sets the two biases of `ControllerSettings.favoured_ops`."""
        favour, favoured = torch.zeros(self.valid.shape), self.settings.favoured_ops
        if favoured:
            nn.init.zeros_(self.softmaxes.bias)
            cells = [decision.name.partition("/")[0] for decision in decisions]
            ops = [n for n, each in enumerate(decisions) if kind_of(each) == "op"]
            ops = [number for number in ops if cells[number] in ("normal", "reduction")]
            normal = [number for number in ops if cells[number] == "normal"]
            with torch.no_grad():
                self.softmaxes.bias[self.logit[ops, :favoured]] = 10.0
            favour[normal] = -0.25
            favour[normal, :favoured] = 0.25
        self.register_buffer("favour", favour, persistent=False)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(N, H) of N prefixes: (N, T) integers, or their one-hot codes as SB3 makes them."""
        if observations.shape[1] != len(self.token):
            sizes = self.valid.sum(1) + 1
            parts = observations.split(sizes.tolist(), dim=1)
            observations = torch.stack([part.argmax(1) for part in parts], dim=1)
        return self.outputs(observations)[0]

    def logits(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The features, (N, H), and the logits of the next decisions, (N, A), of prefixes, (N, T).

        A finished architecture's are those of its last decision; they have no meaning.
        """
        features, anchors, decision = self.outputs(observations)
        logits = self.softmaxes(features).gather(1, self.logit[decision])
        attended = self.anchor[decision] >= 0
        if self.anchored:
            score = self.v((self.w_prev(anchors) + self.w_curr(features)[:, None]).tanh())[..., 0]
            logits = torch.where(attended, self.score_scale[decision] * score, logits)
        settings = self.settings
        if settings.temperature is not None:
            logits = logits / settings.temperature
        if settings.tanh_constant is not None:
            reduced = torch.where(attended, 1.0, 1 / settings.op_tanh_reduce)
            logits = settings.tanh_constant * reduced * logits.tanh()
        if settings.favoured_ops:
            logits = logits + self.favour[decision]
        return features, logits.masked_fill(~self.valid[decision], NEVER)

    def outputs(
        self, observations: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The LSTM's output of the next decision's step, (N, H); the anchors that attention scores

        its choices by, (N, A, H); and the next decision, (N,), of prefixes, (N, T).
        """
        decided = (observations > 0).sum(1)
        steps = self.step[decided]
        decision = decided.clamp(max=len(self.token) - 1)
        if torch.is_grad_enabled() or self.training or (steps != steps[0]).any():
            longest, rows = _longest(observations)
            outputs, _ = self._run(longest, 0, int(steps.max()) + 1, None)
        else:
            outputs = self._go_on(observations, int(steps[0]) + 1)
            rows = torch.arange(len(steps), device=steps.device)
        features = outputs[rows, steps]
        if not self.anchored:
            return features, features, decision
        inputs = self.inputs if self.selects else outputs.new_zeros(2, outputs.shape[2])
        pool = torch.cat([inputs.expand(len(outputs), -1, -1), outputs], dim=1)
        return features, pool[rows[:, None], self.anchor[decision].clamp(min=0)], decision

    def _run(
        self,
        observations: torch.Tensor,
        first: int,
        last: int,
        state: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The LSTM's outputs of the steps from ``first`` to ``last``, (N, last - first, H).

        The input of a step is the embedding of the choice of the one before; after an anchor point,
        it is the sum of all of its choices' embeddings.
        """
        places = torch.arange(len(self.token), device=observations.device)
        embedded = self.embedding(self.token[places, observations.long()])  # (N, T, H)
        if self.joint:
            number, size = int(self.step[-1]), self.settings.hidden_size
            zeros = embedded.new_zeros(len(embedded), number, size)
            embedded = zeros.index_add(1, self.step[:-1], embedded)  # (N, S, H)
        start = self.place[0].expand(len(embedded), 1, -1)
        if self.settings.shared:
            embedded = embedded + self.place[1:]
        inputs = torch.cat([start, embedded], dim=1)
        outputs, state = self.lstm(inputs[:, first:last], state)
        return outputs, state

    def _go_on(self, observations: torch.Tensor, length: int) -> torch.Tensor:
        """The outputs of the first ``length`` steps, (N, length, H), of prefixes of that length.

        Where the last call had the beginnings of the same prefixes, under the same parameters, only
        what is new is read.
        """
        known, read = 0, self._read
        key = tuple((each.data_ptr(), each._version) for each in self.parameters())
        made_before = self.step[:-1] < length - 1
        choices = observations * made_before  # those that the LSTM reads
        if read is not None and read.key == key and len(read.choices) == len(choices):
            known = read.outputs.shape[1]
            made = self.step[:-1] < known - 1
            if known > length or not torch.equal(read.choices, choices * made):
                known = 0
        if known == length:
            assert read is not None
            return read.outputs
        outputs, state = self._run(choices, known, length, read.state if read and known else None)
        if read is not None and known:
            outputs = torch.cat([read.outputs, outputs], dim=1)
        self._read = _Reading(key, choices.clone(), outputs, state)
        return outputs


def _longest(observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The prefixes, (N, T), that begin no other of them, (L, T); and for each the one it begins.

    In the order of `unique` a prefix comes directly before those that it begins.
    """
    ordered, places = torch.unique(observations, dim=0, return_inverse=True)
    begins = ((ordered[:-1] == ordered[1:]) | (ordered[:-1] == 0)).all(1)
    longest = torch.cat([~begins, begins.new_ones(1)])
    return ordered[longest], (longest.cumsum(0) - longest.long())[places]
