"""ENAS's recurrent supernet: a child in it computes what the child computes by itself."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from nas_gym import (
    Architecture,
    ENASRecurrentSearchSpace,
    InvalidArchitecture,
    InvalidSettings,
    published,
)
from nas_gym.data.text import TextDataset, load_text
from nas_gym.families.enas_recurrent.sharing import RecurrentSharing, RecurrentSharingSettings
from nas_gym.families.enas_recurrent.supernet import RecurrentSupernet
from nas_gym.networks import TokenShape, count_parameters
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.weight_sharing.supernet import Supernet, build_supernet

SPACE = ENASRecurrentSearchSpace(3)
NETWORK = LanguageModelSettings(units=8)
SETTINGS = RecurrentSharingSettings(NETWORK, epochs=2, batch_size=4, bptt=5)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextDataset:
    """A text in which the next word follows from the last two."""
    file = tmp_path_factory.mktemp("text") / "pattern.txt"
    file.write_text("\n".join("a b a c a b b c" for _ in range(60)))
    return load_text(file)


def drawn(number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.decode(SPACE.sample(rng)) for _ in range(number)]


def supernet_of(nodes: int, settings: LanguageModelSettings, words: int = 5) -> Supernet:
    return build_supernet(ENASRecurrentSearchSpace(nodes), TokenShape(words), settings)


def test_a_child_computes_in_the_supernet_what_it_computes_by_itself() -> None:
    supernet = supernet_of(3, replace(NETWORK, layers=2)).eval()
    words = torch.randint(5, (4, 2))
    for architecture in drawn(5):
        supernet.set_architecture(architecture)
        child = supernet.child(architecture).eval()
        torch.testing.assert_close(supernet(words), child(words))
        assert supernet.count_parameters(architecture) == count_parameters(child)


def test_children_share_the_weights_of_equal_choices_alone() -> None:
    """A matrix belongs to a node's activation and predecessor, whatever the other nodes chose."""
    supernet = supernet_of(3, NETWORK)
    assert isinstance(supernet, RecurrentSupernet)
    one, other = (
        SPACE.decode(np.array(choices)) for choices in ([0, 1, 1, 0, 2, 3], [0, 1, 0, 0, 2, 3])
    )
    kernels = []
    for architecture in (one, other):
        supernet.set_architecture(architecture)
        kernels.append([supernet._shared[0].kernel_of(node) for node in (1, 2, 3)])
    same = [mine is yours for mine, yours in zip(*kernels, strict=True)]
    assert same == [True, False, True]


def test_parameters_are_those_of_the_released_search() -> None:
    """All shared weights, and each child's, with 200 units, nine nodes and 10,000 words."""
    with torch.device("meta"):
        supernet = supernet_of(9, LanguageModelSettings(units=200), 10_000)
    child = ENASRecurrentSearchSpace(9).decode(np.array([0, 1] * 9))
    assert sum(weight.numel() for weight in supernet.parameters()) == 16_560_000
    assert supernet.count_parameters(child) == 2_880_000


def test_shared_weights_learn_and_children_are_measured_by_perplexity(text: TextDataset) -> None:
    """The words' frequencies alone have a perplexity above 3."""
    sharing = RecurrentSharing(SPACE, text, SETTINGS, "cpu")
    rng = np.random.default_rng(1)
    epochs = [
        sharing.train_epoch(lambda n: [SPACE.decode(SPACE.sample(rng)) for _ in range(n)])
        for _ in range(6)
    ]
    assert epochs[-1].loss < epochs[0].loss
    with sharing.on_whole_split():
        evaluation, again = sharing.evaluate([drawn(1)[0]] * 2)
    assert (evaluation.status, evaluation.metric) == ("ok", "perplexity")
    assert evaluation.value is not None
    assert evaluation.value < 2.5
    assert evaluation.value == again.value
    one, other = sharing.evaluate([drawn(1)[0]] * 2)
    assert one.value != other.value  # the next window
    assert sharing.child_settings.epochs == 1


def test_a_state_goes_on_to_the_bit(text: TextDataset) -> None:
    def trained(sharing: RecurrentSharing) -> float:
        return sharing.train_epoch(lambda n: drawn(n, sharing.epoch)).loss

    whole, first, second = (RecurrentSharing(SPACE, text, SETTINGS, "cpu") for _ in range(3))
    expected = [trained(whole) for _ in range(2)]
    assert trained(first) == expected[0]
    second.load_state_dict(first.state_dict())
    third = pickle.loads(pickle.dumps(first))
    assert trained(second) == trained(third) == expected[1]


def test_what_does_not_fit_is_refused() -> None:
    supernet = supernet_of(3, NETWORK)
    with pytest.raises(InvalidArchitecture, match="nodes: 8 nodes; this supernet has 3"):
        supernet.set_architecture(published("ENAS-Recurrent"))
    with pytest.raises(InvalidArchitecture, match="is no child of this supernet"):
        supernet.set_architecture(published("NASCell"))
    with pytest.raises(InvalidSettings, match="optimizer: expected 'sgd'"):
        RecurrentSharingSettings(NETWORK, optimizer="adam")
    with pytest.raises(InvalidSettings, match="schedule: expected 'constant', got 'cosine'"):
        RecurrentSharingSettings(NETWORK, schedule="cosine")
    refused = (
        {"warmup_epochs": 2},
        {"average_after": 3},
        {"count_activations": True},
        {"fused": 2},
    )
    for wrong in refused:
        with pytest.raises(InvalidSettings, match=f"{next(iter(wrong))}: .* leave it out"):
            RecurrentSharingSettings(NETWORK, **wrong)
