"""ASHA: which children go on, how far, and who learns of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_agents.strategies.as_agent import StrategyAgent
from nas_agents.strategies.asha import ASHA, rungs_of
from nas_agents.strategies.regularized_evolution import RegularizedEvolution
from nas_gym import InvalidSettings, NASBench201SearchSpace
from nas_gym.sb3 import make_vec_env

SEARCH_SPACE = NASBench201SearchSpace()


def key_of(choices: Any) -> str:
    return SEARCH_SPACE.decode(choices).key


@pytest.mark.parametrize(
    ("fidelities", "eta", "lowest", "rungs"),
    [
        (range(1, 28), 3, 1, [1, 3, 9, 27]),
        (range(1, 21), 3, 1, [2, 6, 20]),
        (range(1, 21), 4, 2, [5, 20]),
        ((4, 12, 36, 108), 3, 1, [4, 12, 36, 108]),
        ((4, 12, 36, 108), 4, 1, [12, 108]),
        ((2,), 3, 1, [2]),
    ],
)
def test_rungs_are_a_full_training_and_parts_of_it(
    fidelities: Any, eta: int, lowest: int, rungs: list[int]
) -> None:
    assert rungs_of(fidelities, eta, lowest) == rungs


@settings(max_examples=60, deadline=None)
@given(data=st.data(), eta=st.integers(2, 4), workers=st.integers(1, 6), seed=st.integers(0, 99))
def test_only_the_best_of_a_rung_go_on_and_nobody_twice(
    data: st.DataObject, eta: int, workers: int, seed: int
) -> None:
    strategy = ASHA(SEARCH_SPACE, seed, fidelities=range(1, eta**2 + 1), eta=eta)
    under_way: list[tuple[Any, int]] = []
    asked: set[tuple[str, int]] = set()
    ended: dict[int, dict[str, float]] = {rung.epochs: {} for rung in strategy.rungs}
    for _ in range(60):
        while len(under_way) < workers:
            choices, epochs = strategy.next_training()
            assert (key_of(choices), epochs) not in asked
            asked.add((key_of(choices), epochs))
            under_way.append((choices, epochs))
            if epochs > 1:
                below = ended[max(each for each in ended if each < epochs)]
                better = sum(value > below[key_of(choices)] for value in below.values())
                assert better < len(below) // eta  # it is among the best n // eta now
                assert below[key_of(choices)] >= 0
            else:  # nobody else could go on
                for rung in strategy.rungs[:-1]:
                    leaders = sorted(rung.results.values(), key=lambda result: -result[0])
                    standing = leaders[: len(leaders) // eta]
                    ready = [key_of(best) for reward, best in standing if reward >= 0]
                    assert set(ready) <= rung.promoted
        choices, epochs = under_way.pop(data.draw(st.integers(0, workers - 1)))
        reward, failed = data.draw(st.floats(0, 1)), data.draw(st.integers(0, 9)) == 0
        ended[epochs][key_of(choices)] = -1.0 if failed else reward
        strategy.trained(choices, epochs, reward, failed)
    for rung in strategy.rungs:
        assert rung.promoted <= set(rung.results)


def test_the_first_of_three_goes_on_at_once_to_three_times_as_many_epochs() -> None:
    strategy = ASHA(SEARCH_SPACE, 0, fidelities=(1, 3, 9))
    children = [strategy.next_training()[0] for _ in range(3)]
    for choices, reward in zip(children, (0.2, 0.9, 0.5), strict=True):
        strategy.trained(choices, 1, reward, failed=False)
    choices, epochs = strategy.next_training()
    assert (key_of(choices), epochs) == (key_of(children[1]), 3)
    assert strategy.next_training()[1] == 1


def test_the_proposer_learns_the_lowest_rung_alone() -> None:
    evolution = RegularizedEvolution(SEARCH_SPACE, 0, population=50)
    strategy = ASHA(SEARCH_SPACE, 0, fidelities=(1, 2), eta=2, proposer=evolution)
    for _ in range(30):
        choices, epochs = strategy.next_training()
        strategy.trained(choices, epochs, float(epochs) + choices[0] / 10, failed=False)
    assert len(strategy.rungs[1].results) > 5
    assert len(evolution.population) == 30 - len(strategy.rungs[1].results)
    assert max(reward for reward, _ in evolution.population) < 2


def test_failed_children_never_go_on() -> None:
    strategy = ASHA(SEARCH_SPACE, 0, fidelities=(1, 2), eta=2)
    for _ in range(20):
        choices, epochs = strategy.next_training()
        assert epochs == 1
        strategy.trained(choices, epochs, 0.0, failed=True)


def test_it_is_no_agent_for_an_environments_steps() -> None:
    vec_env = make_vec_env("nas_gym/TinyBench-v0", n_envs=1)
    with pytest.raises(InvalidSettings, match="use `nas-gym search`"):
        StrategyAgent(ASHA, vec_env).learn(6)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(InvalidSettings, match="eta: expected a number greater"):
        ASHA(SEARCH_SPACE, eta=1)
    with pytest.raises(InvalidSettings, match="no rung below 2 epochs with eta=3"):
        ASHA(SEARCH_SPACE, fidelities=(1, 2))
    with pytest.raises(InvalidSettings, match="fidelities"):
        ASHA(SEARCH_SPACE, fidelities=())
