"""What every strategy is held to, in every search space."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.registry import AGENTS
from nas_agents.strategies import Strategy
from nas_gym import (
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    InvalidSettings,
    NASBench101SearchSpace,
    NASBench201SearchSpace,
    SearchSpace,
)
from nas_gym.search_spaces import Choices
from tests.agents.catalogue.test_agents import SEARCH_SPACES
from tests.helpers import ConvNet, LayersSearchSpace

FOUND = {name: find_agent(name) for name in AGENTS}
STRATEGIES = [name for name, each in FOUND.items() if each.strategy and not each.trains_in_parts]
SPACES: dict[str, SearchSpace] = {**SEARCH_SPACES, "custom": CustomSearchSpace(ConvNet)}
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_search_space = pytest.mark.parametrize("space", SPACES)


def made(name: str, space: str, seed: int = 0, **arguments: Any) -> Strategy:
    search_space = SPACES[space]
    agent = find_agent(name)
    assert agent.strategy is not None
    objectives = 2 if agent.strategy.multi_objective else 1
    plan = Plan(len(search_space.decisions), 100, objectives=objectives)
    return agent.make_strategy(search_space, agent.arguments(plan, arguments), seed)


def reward_of(choices: Choices) -> float:
    """Some reward that follows from the choices."""
    return float(np.sin(choices @ np.arange(1, len(choices) + 1)))


def reward_for(strategy: Strategy, choices: Choices) -> Any:
    """Return that reward, or a vector of two objectives."""
    reward = reward_of(choices)
    return [reward, -float(choices.sum())] if strategy.multi_objective else reward


def played(strategy: Strategy, number: int, under_way: int = 1) -> list[Choices]:
    """So many proposals, several at a time, answered in the reverse order."""
    proposed: list[Choices] = []
    while len(proposed) < number:
        batch = [strategy.propose() for _ in range(under_way)]
        for choices in reversed(batch):
            strategy.observe(choices, reward_for(strategy, choices))
        proposed += batch
    return proposed


@every_search_space
@every_strategy
def test_proposals_are_complete_and_valid(name: str, space: str) -> None:
    strategy = made(name, space)
    slow = (name, space) == ("grid", "nas_gym/TuNAS-v0")  # thousands of numbers a sequence
    proposed = played(strategy, 1 if slow else 16)
    for choices in proposed + (played(strategy, 8, under_way=4) if not slow else []):
        assert choices.dtype == np.int64
        np.testing.assert_array_equal(SPACES[space].check(choices), choices)


@every_strategy
@pytest.mark.parametrize("space", ["nas_gym/NASBench201-v0", "conditional"])
def test_proposals_follow_from_the_seed_and_the_order_of_calls(name: str, space: str) -> None:
    first, again = (played(made(name, space, seed=4), 36, under_way=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = played(made(name, space, seed=5), 36, under_way=3)
    assert np.array_equal(first, other) is (name == "grid")


@every_strategy
def test_a_copy_goes_on_as_the_original(name: str) -> None:
    strategy = made(name, "conditional")
    played(strategy, 30)
    under_way = strategy.propose()
    copy = pickle.loads(pickle.dumps(strategy))
    for each in (strategy, copy):
        each.observe(under_way, reward_for(each, under_way))
    np.testing.assert_array_equal(played(strategy, 30), played(copy, 30))


@every_strategy
def test_proposals_that_are_never_answered_stop_nothing(name: str) -> None:
    strategy = made(name, "nas_gym/NASBench201-v0")
    for number in range(60):
        choices = strategy.propose()
        if number % 3 == 0:
            strategy.observe(choices, reward_for(strategy, choices))


@every_strategy
def test_what_was_proposed_is_not_written_to(name: str) -> None:
    strategy = made(name, "nas_gym/NASBench201-v0")
    proposed = [strategy.propose() for _ in range(5)]
    before = [choices.copy() for choices in proposed]
    for choices in proposed:
        strategy.observe(choices, reward_for(strategy, choices))
    played(strategy, 40)
    np.testing.assert_array_equal(proposed, before)


@every_strategy
def test_arguments_that_are_none(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"agent: {name} has no argument 'colour'"):
        made(name, "conditional", colour="red")


def test_agents_that_decide_step_by_step_are_no_strategies() -> None:
    with pytest.raises(InvalidSettings, match="ppo decides step by step"):
        find_agent("ppo").make_strategy(LayersSearchSpace(), {}, 0)


class Fixed(Strategy):
    """Proposes one architecture."""

    def propose(self) -> Choices:
        return self.sample()

    def observe(self, choices: Choices, reward: float) -> None:
        pass


@every_search_space
def test_a_neighbour_differs_in_one_decision_and_in_what_that_rules_out(space: str) -> None:
    search_space = SPACES[space]
    strategy = Fixed(search_space, seed=1)
    for _ in range(20):
        choices = strategy.sample()
        kept = choices.copy()
        neighbour = strategy.mutate(choices)
        np.testing.assert_array_equal(search_space.check(neighbour), neighbour)
        changed = np.flatnonzero(neighbour != choices)
        if not search_space.conditional:
            assert len(changed) == 1
        np.testing.assert_array_equal(choices, kept)
        # Every later decision that changed had to, or did not exist before.
        for step in changed[1:]:
            valid = search_space.valid_choices(neighbour[:step])
            named = bool(search_space.decisions[step].when)
            assert not valid[choices[step]] or named


@pytest.mark.parametrize("space", ["conditional", "custom", "nas_gym/NASBench201-v0"])
def test_neighbours_are_all_that_differ_by_one_choice(space: str) -> None:
    search_space = SPACES[space]
    strategy = Fixed(search_space, seed=1)
    for _ in range(5):
        choices = strategy.sample()
        firsts = []
        for neighbour in strategy.neighbours(choices):
            search_space.check(neighbour)
            step = np.flatnonzero(neighbour != choices)[0]
            firsts.append((step, neighbour[step]))
        expected = [
            (step, choice)
            for step in range(len(choices))
            for choice in np.flatnonzero(search_space.valid_choices(choices[:step]))
            if choice != choices[step]
        ]
        assert firsts == expected


def test_mutations_reach_every_neighbour() -> None:
    strategy = Fixed(SPACES["nas_gym/NASBench201-v0"], seed=0)
    choices = strategy.sample()
    reached = {strategy.mutate(choices).tobytes() for _ in range(500)}
    assert reached == {each.tobytes() for each in strategy.neighbours(choices)}
    assert len(reached) == 24


def test_decisions_that_come_to_exist_are_drawn() -> None:
    search_space = CustomSearchSpace(ConvNet)
    names = [decision.name for decision in search_space.decisions]
    conditional = next(i for i, d in enumerate(search_space.decisions) if d.when)
    (parent, labels), *_ = search_space.decisions[conditional].when.items()
    step = names.index(parent)
    choice = search_space.decisions[step].choices.index(next(iter(labels)))
    strategy = Fixed(search_space, seed=0)
    drawn = set()
    for _ in range(300):
        choices = strategy.sample()
        if len(strategy.other_choices(choices, conditional)) == 0:
            drawn.add(int(strategy.change(choices, step, choice)[conditional]))
    assert drawn == set(range(len(search_space.decisions[conditional].choices)))


def test_a_nine_edge_cell_gives_up_an_edge_for_another() -> None:
    search_space = NASBench101SearchSpace()
    strategy = Fixed(search_space, seed=0)
    edges = np.array([decision.name.startswith("edge") for decision in search_space.decisions])
    for _ in range(100):
        choices = strategy.sample()
        mutated = strategy.mutate(choices)
        assert mutated[edges].sum() <= 9
        assert np.count_nonzero(mutated != choices) <= 3


class OneNetwork(CustomArchitecture, kind="test-one-network"):
    decisions = (Decision("kernel", ("3",)),)


@every_strategy
def test_a_search_space_of_one_architecture(name: str) -> None:
    strategy = find_agent(name).make_strategy(CustomSearchSpace(OneNetwork), {}, 0)
    for choices in played(strategy, 30):
        assert choices.tolist() == [0]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (np.array([7, 0, 0, 0, 0, 0]), r"choices\[0\].*: 7 is not valid here; valid choices: 0, 1"),
        (np.array([1, 0, 0]), r"choices: expected 6 integers, got shape \(3,\)"),
        (None, "choices: expected 6 integers, got shape"),
    ],
)
def test_a_proposal_that_is_not_valid_is_refused(choices: Any, message: str) -> None:
    class Mine(Fixed):
        def propose(self) -> Any:
            return choices

    with pytest.raises(InvalidSettings, match=f"agent: Mine proposed no valid sequence: {message}"):
        Mine(NASBench201SearchSpace()).proposal()


def test_a_proposal_may_be_a_list() -> None:
    class Mine(Fixed):
        def propose(self) -> Any:
            return [1, 0, 0, 4, 0, 0]

    proposal = Mine(NASBench201SearchSpace()).proposal()
    assert proposal.dtype == np.int64
    assert proposal.tolist() == [1, 0, 0, 4, 0, 0]
