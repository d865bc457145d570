"""Properties that every search space has."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import InvalidArchitecture, published
from nas_gym.families.enas.macro_search_space import ENASMacroSearchSpace
from nas_gym.families.enas.micro_search_space import ENASMicroSearchSpace
from nas_gym.families.enas_recurrent.search_space import ENASRecurrentSearchSpace
from nas_gym.families.mnasnet.search_space import MnasNetSearchSpace
from nas_gym.families.mobile.ofa import OFASearchSpace
from nas_gym.families.mobile.proxylessnas import ProxylessNASSearchSpace
from nas_gym.families.nas.search_space import NASSearchSpace
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.families.nascell.search_space import NASCellSearchSpace
from nas_gym.families.nasnet.search_space import NASNetSearchSpace
from nas_gym.families.tunas.search_space import TuNASSearchSpace
from nas_gym.search_spaces import (
    Choices,
    CustomSearchSpace,
    SearchSpace,
    resolve_actions,
)
from nas_gym.search_spaces.actions import Mask, rules_of
from nas_gym.search_spaces.cells import ADD, CONCATENATE
from tests.helpers import ConvNet, LayersArchitecture, LayersSearchSpace, sequences

SEARCH_SPACES = {
    "NAS": NASSearchSpace(),
    "strides and pooling": NASSearchSpace(4, True, [24], [2]),
    "two of three layers": NASSearchSpace(3, depth_schedule=(2, 1, 10)).stage(0),
    "NASNet": NASNetSearchSpace(),
    "one block": NASNetSearchSpace(1),
    "few operations": NASNetSearchSpace(1, ["3x3 max pooling", "identity"], [CONCATENATE]),
    "one operation": NASNetSearchSpace(3, ["identity"], [ADD]),
    "ENASMacro": ENASMacroSearchSpace(),
    "one layer": ENASMacroSearchSpace(1),
    "ENASMicro": ENASMicroSearchSpace(),
    "one node": ENASMicroSearchSpace(1),
    "NASBench101": NASBench101SearchSpace(),
    "NASBench201": NASBench201SearchSpace(),
    "MnasNet": MnasNetSearchSpace(),
    "NASCell": NASCellSearchSpace(),
    "base 2, more functions": NASCellSearchSpace(2, more_functions=True),
    "Once-for-All": OFASearchSpace(1.2, (160, 224)),
    "ProxylessNAS": ProxylessNASSearchSpace(),
    "TuNAS": TuNASSearchSpace("mobilenet_v3_like"),
    "ENASRecurrent": ENASRecurrentSearchSpace(),
    "one recurrent node": ENASRecurrentSearchSpace(1),
    "conditional": LayersSearchSpace(),
    "custom": CustomSearchSpace(ConvNet),
}
CONDITIONAL = ("conditional", "custom", "NASBench101", "Once-for-All", "TuNAS")
NAMES = st.sampled_from(sorted(SEARCH_SPACES))
every_search_space = pytest.mark.parametrize("name", SEARCH_SPACES)


def all_sequences(search_space: SearchSpace) -> list[Choices]:
    """Every valid sequence, by trying all."""
    found = []
    for sequence in product(*map(range, search_space.num_choices)):
        choices = np.array(sequence)
        if all(
            search_space.valid_choices(choices[:step])[choice]
            for step, choice in enumerate(choices)
        ):
            found.append(choices)
    return found


@every_search_space
def test_sampled_sequences_are_valid_and_survive_decode_and_encode(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    for seed in range(50):
        choices = search_space.sample(np.random.default_rng(seed))
        assert choices.dtype == np.int64
        np.testing.assert_array_equal(search_space.check(choices), choices)
        np.testing.assert_array_equal(search_space.encode(search_space.decode(choices)), choices)


@given(data=st.data(), name=NAMES)
def test_encode_is_the_inverse_of_decode(data: st.DataObject, name: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = data.draw(sequences(search_space))
    architecture = search_space.decode(choices)
    encoded = search_space.encode(architecture)
    assert encoded.dtype == np.int64
    np.testing.assert_array_equal(encoded, choices)
    assert search_space.decode(choices.tolist()) == architecture


@given(data=st.data(), name=NAMES)
def test_masks_agree_with_valid_choices(data: st.DataObject, name: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = data.draw(sequences(search_space))
    for step, number in enumerate(search_space.num_choices):
        mask = search_space.action_mask(choices[:step])
        valid = search_space.valid_choices(choices[:step])
        assert mask.shape == (search_space.num_actions,)
        assert mask.dtype == valid.dtype == np.bool_
        assert valid.shape == (number,)
        assert valid.any()
        np.testing.assert_array_equal(mask[:number], valid)
        assert not mask[number:].any()
    assert search_space.action_mask(choices).all()


@given(data=st.data(), name=NAMES)
def test_masks_of_many_prefixes_are_the_masks_of_each(data: st.DataObject, name: str) -> None:
    search_space = SEARCH_SPACES[name]
    some = data.draw(st.lists(sequences(search_space), min_size=1, max_size=5))
    choices = np.stack(some)
    for step in range(choices.shape[1] + 1):
        masks = search_space.action_masks(choices[:, :step])
        expected = [search_space.action_mask(prefix) for prefix in choices[:, :step]]
        assert masks.dtype == np.bool_
        np.testing.assert_array_equal(np.broadcast_to(masks, np.shape(expected)), expected)


def test_a_search_space_is_written_with_its_number_of_decisions() -> None:
    assert repr(SEARCH_SPACES["NASNet"]) == "<NASNet: 50 decisions>"
    assert repr(SEARCH_SPACES["one layer"]) == "<ENASMacro: 1 decision>"


@pytest.mark.parametrize("name", [name for name in SEARCH_SPACES if name not in CONDITIONAL])
def test_size_is_the_product_of_the_choices(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = search_space.sample(np.random.default_rng(0))
    valid = [search_space.valid_choices(choices[:step]).sum() for step in range(len(choices))]
    assert search_space.size == math.prod(map(int, valid))


@pytest.mark.parametrize("name", ["few operations", "conditional", "custom"])
def test_size_counts_the_valid_sequences_which_mean_unlike_architectures(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    found = all_sequences(search_space)
    assert search_space.size == len(found)
    assert len({search_space.decode(choices) for choices in found}) == len(found)


@every_search_space
def test_sampling_is_deterministic_under_a_seed(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    first, second = (np.random.default_rng(5) for _ in range(2))
    draws = [search_space.sample(first) for _ in range(5)]
    for draw in draws:
        np.testing.assert_array_equal(search_space.sample(second), draw)
    if search_space.size > 100:
        assert len({tuple(draw) for draw in draws}) == 5


def test_samples_reach_every_choice() -> None:
    search_space = SEARCH_SPACES["NASNet"]
    rng = np.random.default_rng(0)
    drawn = np.stack([search_space.sample(rng) for _ in range(400)])
    reached = [len(np.unique(column)) for column in drawn.T]
    assert reached == list(search_space.num_choices)


@every_search_space
@pytest.mark.parametrize("past", ["the first", "the last"])
def test_check_names_the_decision_that_is_wrong_and_its_valid_choices(name: str, past: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = search_space.sample(np.random.default_rng(1))
    for step, decision in enumerate(search_space.decisions):
        broken, wrong = choices.copy(), -1 if past == "the first" else len(decision.choices)
        broken[step] = wrong
        valid = np.flatnonzero(search_space.valid_choices(choices[:step]))
        where = f"choices[{step}] ({decision.name}): {wrong} is not valid here"
        with pytest.raises(InvalidArchitecture) as error:
            search_space.check(broken)
        assert str(error.value) == f"{where}; valid choices: {', '.join(map(str, valid))}"
        with pytest.raises(InvalidArchitecture):
            search_space.decode(broken)


@every_search_space
def test_check_refuses_other_shapes_and_types(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = search_space.sample(np.random.default_rng(1))
    wrong = [choices[:-1], [*choices, 0], choices[None], choices.astype(float), choices == 0, []]
    for sequence in [*wrong, [[1, 2], [3]]]:
        with pytest.raises(InvalidArchitecture, match=f"expected {len(choices)} integers"):
            search_space.check(sequence)


def test_check_leaves_the_given_sequence_alone() -> None:
    search_space = SEARCH_SPACES["NASNet"]
    choices = search_space.sample(np.random.default_rng(1)).astype(np.int8)
    checked = search_space.check(choices)
    assert checked.dtype == np.int64
    checked[:] = 0
    assert choices.any()


def test_fixed_masks_cannot_be_written_to() -> None:
    mask = SEARCH_SPACES["NASNet"].action_mask(np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = False


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_conditional_masks_follow_the_earlier_choice(depth: int) -> None:
    search_space = LayersSearchSpace()
    choices = np.array([depth, *([1] * (depth + 1)), *([0] * (2 - depth))])
    for layer in (1, 2, 3):
        expected = [False, True, True, True] if layer <= depth + 1 else [True, False, False, False]
        assert search_space.action_mask(choices[:layer]).tolist() == expected
    assert search_space.action_mask(choices[:0]).tolist() == [True, True, True, False]
    assert search_space.decode(choices) == LayersArchitecture(("8",) * (depth + 1))


def test_conditional_samples_reach_every_depth_and_are_valid() -> None:
    search_space = LayersSearchSpace()
    rng = np.random.default_rng(0)
    samples = [search_space.check(search_space.sample(rng)) for _ in range(60)]
    assert {int(sample[0]) for sample in samples} == {0, 1, 2}


def test_conditional_check_names_the_choice_that_an_earlier_one_rules_out() -> None:
    with pytest.raises(InvalidArchitecture, match=r"choices\[2\] \(layer_2\): 1 .* choices: 0$"):
        LayersSearchSpace().decode([0, 1, 1, 0])
    with pytest.raises(InvalidArchitecture, match=r"choices\[2\] \(layer_2\): 0 .*: 1, 2, 3$"):
        LayersSearchSpace().decode([1, 1, 0, 0])


def resolve_action(mask: Mask, action: int) -> tuple[int, bool]:
    """The choice of one action, and whether the action is invalid."""
    return rules_of(mask.tobytes()).resolve(action)


@pytest.mark.parametrize(
    ("prefix", "action", "choice", "invalid"),
    [
        ([], 2, 2, False),
        ([], 3, 0, True),  # 3 mod 3 valid choices = number 0
        ([0, 1], 0, 0, False),
        ([0, 1], 3, 0, True),
        ([1, 1], 0, 1, True),
        ([1, 1], 4, 2, True),  # 4 mod 3 = number 1 of choices 1, 2, 3
        ([1, 1], 5, 3, True),
        ([1, 1], -1, 3, True),
    ],
)
def test_actions_resolve_under_conditional_masks(
    prefix: list[int], action: int, choice: int, invalid: bool
) -> None:
    mask = LayersSearchSpace().action_mask(np.array(prefix, dtype=np.int64))
    assert resolve_action(mask, action) == (choice, invalid)


@given(mask=st.lists(st.booleans(), min_size=1).filter(any), action=st.integers(-100, 100))
def test_resolved_actions_are_valid_choices(mask: list[bool], action: int) -> None:
    choice, invalid = resolve_action(np.array(mask), action)
    assert mask[choice]
    valid = [index for index, holds in enumerate(mask) if holds]
    if action in valid:
        assert (choice, invalid) == (action, False)
    else:
        assert (choice, invalid) == (valid[action % len(valid)], True)


@given(
    masks=st.integers(1, 6).flatmap(
        lambda actions: st.lists(
            st.lists(st.booleans(), min_size=actions, max_size=actions).filter(any), min_size=1
        )
    ),
    data=st.data(),
)
def test_actions_resolve_alike_one_by_one_and_together(
    masks: list[list[bool]], data: st.DataObject
) -> None:
    some = data.draw(st.lists(st.integers(-100, 100), min_size=len(masks), max_size=len(masks)))
    actions, array = np.array(some), np.array(masks)
    together = zip(*resolve_actions(array, actions), strict=True)
    expected = [resolve_action(mask, action) for mask, action in zip(array, some, strict=True)]
    assert [(int(choice), bool(invalid)) for choice, invalid in together] == expected
    shared = zip(*resolve_actions(array[0], actions), strict=True)
    expected = [resolve_action(array[0], action) for action in some]
    assert [(int(choice), bool(invalid)) for choice, invalid in shared] == expected


@every_search_space
def test_architectures_of_another_kind_are_refused(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    other = published("NASNet-A") if name == "conditional" else LayersArchitecture(("8",))
    kind = getattr(search_space.architecture_type, "kind", None)
    space = f"the .* search space; expected '{kind}'" if kind else "this search space"
    with pytest.raises(InvalidArchitecture, match=f"kind: '{other.kind}' is not in {space}"):
        search_space.encode(other)
