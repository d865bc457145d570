"""ENAS's controller of recurrent cells (Pham et al. 2018, section 2.2), as its code was released.

https://github.com/google-research/google-research/tree/master/enas_lm, src/controller.py. An LSTM
makes two steps a node. In the first, attention over the outputs of the earlier nodes' first steps
chooses a predecessor, and near ones are more probable by a fixed prior; what was chosen, divided by
its distance, is the input of the second, which chooses the activation. The vectors of the
activations are the next input, and the weights of their softmax, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from nas_agents.controllers.settings import controller_settings
from nas_agents.strategies.softmax_table import NEVER
from nas_gym.errors import require
from nas_gym.families.enas_recurrent.search_space import ENAS_ACTIVATIONS, ENASRecurrentSearchSpace
from nas_gym.search_spaces import Decision

DISTANCE, PRIOR = 0.1, 6.0
"""Added to the distance that divides a chosen output; the divisor of squared distances."""


class RecurrentCellController(BaseFeaturesExtractor):
    """Runs the LSTM over prefixes of recurrent cells; its features are the last output, (N, H).

    Observations are partial cells of `nas_gym.ENASRecurrentSearchSpace`; ``settings`` and
    ``decisions`` are as in `nas_agents.controllers.lstm.LSTMController`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        settings: str | Mapping[str, Any] | None = None,
        decisions: Sequence[Decision] | None = None,
    ) -> None:
        chosen = controller_settings(settings)
        super().__init__(observation_space, chosen.hidden_size)
        decisions = decisions or getattr(observation_space, "decisions", None) or ()
        nodes, self.settings = len(decisions) // 2, chosen
        expected = ENASRecurrentSearchSpace(nodes).decisions if nodes else ()
        says = "controller: attends_nodes is for the search space of nas_gym/ENASRecurrent-v0 alone"
        require(bool(nodes) and tuple(decisions) == tuple(expected), says)
        self.most_choices = max(nodes, len(ENAS_ACTIVATIONS))
        size = chosen.hidden_size
        self.start = nn.Parameter(torch.empty(1, size))
        self.activations = nn.Parameter(torch.empty(len(ENAS_ACTIVATIONS), size))
        self.lstm = nn.LSTMCell(size, size, bias=False)
        self.w_prev = nn.Linear(size, size, bias=False)
        self.w_curr = nn.Linear(size, size, bias=False)
        self.v = nn.Linear(size, 1, bias=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -chosen.init_range, chosen.init_range)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the features, (N, H), of prefixes, (N, T) integers."""
        return self.logits(observations)[0]

    def logits(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return features, (N, H), and the next decisions' logits, (N, A), of (N, T) prefixes.

        A finished cell's are those of its last decision; they have no meaning.
        """
        number, decisions = observations.shape
        choices = (observations.long() - 1).clamp(min=0)
        last = (observations > 0).sum(1).clamp(max=decisions - 1)
        inputs, state = self.start.expand(number, -1), None
        outputs, features, logits = [inputs.new_zeros(number, inputs.shape[1])], [], []
        for step in range(int(last.max()) + 1):
            state = self.lstm(inputs, state)
            h, chosen, node = state[0], choices[:, step], step // 2 + 1
            if step % 2:
                found = self._scaled(h @ self.activations.T)
                inputs = self.activations[chosen]
            else:
                earlier = torch.stack(outputs, 1)  # (N, node, H)
                distance = node - torch.arange(node, device=h.device)
                keys = (self.w_prev(earlier) + self.w_curr(h)[:, None]).tanh()
                found = self._scaled(self.v(keys)[..., 0]) - distance.square() / PRIOR
                rows = torch.arange(number, device=h.device)
                inputs = earlier[rows, chosen] / (DISTANCE + distance[chosen])[:, None]
                outputs.append(h)
            features.append(h)
            missing = (0, self.most_choices - found.shape[1])
            logits.append(nn.functional.pad(found, missing, value=NEVER))
        rows = torch.arange(number, device=last.device)
        return torch.stack(features, 1)[rows, last], torch.stack(logits, 1)[rows, last]

    def _scaled(self, logits: Tensor) -> Tensor:
        if self.settings.temperature is not None:
            logits = logits / self.settings.temperature
        if self.settings.tanh_constant is not None:
            logits = self.settings.tanh_constant * logits.tanh()
        return logits
