"""ENAS's controller of recurrent cells, beside the released code's formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from nas_agents.controllers.recurrent_cells import RecurrentCellController
from nas_agents.controllers.sharing.enas import ENAS
from nas_gym import ENASMicroSearchSpace, ENASRecurrentSearchSpace, InvalidSettings, SearchSpace
from nas_gym.sb3 import make_vec_env


def controller_of(space: SearchSpace, **settings: Any) -> RecurrentCellController:
    given = {"hidden_size": 64, "bias": False, "attends_nodes": True, **settings}
    observations = spaces.MultiDiscrete([len(each.choices) + 1 for each in space.decisions])
    return RecurrentCellController(observations, given, space.decisions)


def test_parameters_are_those_of_the_released_code() -> None:
    controller = controller_of(ENASRecurrentSearchSpace(9))
    assert sum(weight.numel() for weight in controller.parameters()) == 41_344


def test_logits_are_the_released_codes_step_by_step() -> None:
    """The output of step 2(l - 1) is node l's; node 0's is zero."""
    torch.manual_seed(0)
    space = ENASRecurrentSearchSpace(3)
    controller = controller_of(space, temperature=5.0, tanh_constant=2.25, init_range=1.0)
    choices = space.sample(np.random.default_rng(2))
    earlier, state, inputs = [torch.zeros(1, 64)], None, controller.start + 0
    for step, choice in enumerate(choices.tolist()):
        observation = torch.zeros(1, 6, dtype=torch.long)
        observation[0, :step] = torch.tensor(choices[:step]) + 1
        found = controller.logits(observation)[1][0]
        state = controller.lstm(inputs, state)
        h, layer = state[0], step // 2 + 1
        if step % 2:
            expected = 2.25 * torch.tanh((h @ controller.activations.T)[0] / 5)
            inputs = controller.activations[[choice]]
        else:
            query = torch.cat([controller.w_prev(each) for each in earlier]) + controller.w_curr(h)
            prior = torch.tensor([float(layer - j) for j in range(layer)]) ** 2 / 6
            expected = 2.25 * torch.tanh(controller.v(torch.tanh(query))[:, 0] / 5) - prior
            inputs = earlier[choice] / (0.1 + layer - choice)
            earlier.append(h)
        torch.testing.assert_close(found[: len(expected)], expected)
        assert (found[len(expected) :] < -1e6).all()


def test_prefixes_of_any_lengths_are_computed_as_each_alone() -> None:
    torch.manual_seed(0)
    space = ENASRecurrentSearchSpace(4)
    controller = controller_of(space)
    rng = np.random.default_rng(0)
    prefixes = torch.stack([torch.from_numpy(space.sample(rng)).long() + 1 for _ in range(9)])
    for number, prefix in enumerate(prefixes):
        prefix[number:] = 0
    together = controller.logits(prefixes)
    alone = zip(*(controller.logits(prefix[None]) for prefix in prefixes), strict=True)
    for both, each in zip(together, alone, strict=True):
        torch.testing.assert_close(both, torch.cat(each))


def test_another_search_space_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="attends_nodes is for the search space of nas_gym/"):
        controller_of(ENASMicroSearchSpace(blocks=1))


def test_enas_trains_it_and_the_shared_weights() -> None:
    arguments = {"units": 4, "vocabulary": 20, "nodes": 2, "data_fraction": 0.02, "device": "cpu"}
    given = {**arguments, "evaluator": "weight-sharing", "reward": {"name": "perplexity", "c": 80}}
    env = make_vec_env("nas_gym/ENASRecurrent-v0", 2, env_kwargs=given)
    policy = {"controller": "enas-recurrent-released"}
    agent = ENAS(
        *("LstmPolicy", env), n_episodes=4, episodes_an_epoch=4, seed=0, policy_kwargs=policy
    )
    controller = agent.policy.features_extractor
    before = {name: weight.clone() for name, weight in controller.named_parameters()}
    agent.learn(8 * 4)
    assert agent.shared.epoch == 2
    changed = {n for n, weight in controller.named_parameters() if not weight.equal(before[n])}
    assert changed >= {"activations", "lstm.weight_ih"}
    _, evaluation = agent.choose()
    assert evaluation.metric == "perplexity"
