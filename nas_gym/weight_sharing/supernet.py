"""Supernets: one network that holds the weights of all children of a search space.

Pham et al. 2018, https://arxiv.org/abs/1802.03268, sections 2.3 and 2.4; the details are those of
the released code's search, https://github.com/melodyguan/enas, src/cifar10/micro_child.py and
general_child.py. Every layer, and both halves of every node, hold the weights of all operations;
a node's half holds them once for each earlier state that it can take. A child's forward pass runs
its own path and nothing else.

The children are those of the form "released_search" of `nas_gym.families.enas.micro_network` and
`macro_network`. So the macro search space's skip connections are added to the layer's output, and
the sum is normalized; the form "released_final" concatenates them. The 1x1 convolution after a
micro cell, whose inputs are the states that no node takes, is a sum of one for each state.

With ``batch_statistics``, batch normalization takes the mean and variance of the batch in
evaluation too, since running ones would mix all children's. The released code does so for the micro
search space, but not for the macro one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import ClassVar, Literal, TypeVar

import torch
from torch import nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings, require
from nas_gym.family import family_of, registered_families
from nas_gym.networks.base import ChildNetwork, InputShape, NetworkSettings, build_network
from nas_gym.networks.limits import size_limit
from nas_gym.search_spaces import SearchSpace

FORM: Literal["released_search"] = "released_search"
N = TypeVar("N", bound=ChildNetwork)
S = TypeVar("S", bound=NetworkSettings)


class Supernet(ChildNetwork, ABC):
    """A network of many children: images (B, C, H, W) in, logits (B, classes) of one child out.

    In training mode with an auxiliary head it gives a pair, as its children do; all share the head.
    An architecture that is not a child of the supernet raises `InvalidArchitecture`.
    """

    costs: ClassVar[tuple[str, ...]] = ("parameters",)
    """The costs of children that it counts."""

    @abstractmethod
    def set_architecture(self, architecture: Architecture) -> None:
        """Select the child of the next forward passes."""

    @abstractmethod
    def path(self, architecture: Architecture) -> list[nn.Module]:
        """Return the modules whose weights a child has, without the auxiliary head."""

    @abstractmethod
    def child(self, architecture: Architecture) -> ChildNetwork:
        """Return the child as a separate network, with a copy of its weights."""

    def count_parameters(self, architecture: Architecture) -> int:
        """Return the number of a child's parameters, without those of the auxiliary head."""
        modules = self.path(architecture)
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    def count_multiply_adds(self, architecture: Architecture) -> int | None:
        """Return the multiply-adds of a child on one image; None where they are not counted."""
        return None


def build_supernet(
    search_space: SearchSpace,
    input_shape: InputShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    """Build the supernet of a search space, with weights from torch's global generator.

    ``settings`` are its family's; default: the released search's. ``batch_statistics`` are as in
    `WeightSharingSettings`. `InvalidSettings` if the search space has no supernet, or these do not
    fit.
    """
    family = family_of(search_space.architecture_type)
    build = None if family is None else family.part("supernet")
    if build is None:
        able = [family.name for family in registered_families() if family.supernet is not None]
        has_none = f"search_space: {search_space} has no supernet"
        raise InvalidSettings(f"{has_none}; the families that have one: {', '.join(able)}")
    build = partial(build, search_space, input_shape, settings, batch_statistics)
    with size_limit(build):
        supernet: Supernet = build()
    return supernet


def checked_settings(settings_type: type[S], settings: NetworkSettings) -> S:
    """Return the settings if they are of their family and of the search's form."""
    settings = fitting(settings_type, settings)
    form = settings.form  # type: ignore[attr-defined]
    require(form == FORM, f"form: a supernet's children have the form {FORM!r}, not {form!r}")
    return settings


def fitting(settings_type: type[S], settings: NetworkSettings) -> S:
    """Return the settings if they are of this type."""
    if not isinstance(settings, settings_type):
        given, expected = type(settings).__name__, settings_type.__name__
        says = f"network: {given} does not fit this search space; expected {expected}"
        raise InvalidSettings(says)
    return settings


def no_child(architecture: Architecture, expected: str) -> InvalidArchitecture:
    """Return the error of an architecture that a supernet does not hold."""
    return InvalidArchitecture(
        f"kind: {architecture.kind!r} is no child of this supernet; expected {expected!r}"
    )


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy all weights and statistics of a module to its equal."""
    target.load_state_dict(source.state_dict())


def built_child(
    network_type: type[N],
    architecture: Architecture,
    input_shape: InputShape,
    settings: NetworkSettings,
) -> N:
    """Build the child with any weights; torch's random numbers stay as they are."""
    with torch.random.fork_rng([]):
        network = build_network(architecture, input_shape, settings)
    assert isinstance(network, network_type)
    return network


def match_statistics(supernet: nn.Module, child: nn.Module) -> None:
    """Match a child's use of the batch's statistics and its device to the supernet's."""
    norms = (module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d))
    if not next(norms).track_running_stats:
        use_batch_statistics(child.modules())
    child.to(next(supernet.parameters()).device).to(memory_format=torch.channels_last)


def use_batch_statistics(modules: Iterable[nn.Module]) -> None:
    """Make batch normalization take the batch's mean and variance in evaluation too."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
