"""An environment whose children cost nothing, for tests of what drives it."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym

from nas_gym import Architecture, Evaluation, NASEnv, NASNetSearchSpace
from nas_gym.search_spaces import CellArchitecture

STUB_ID = "nas_gym_tests/Stub-v0"
WANTED = "3x3 convolution"


class ShareOfConvolutions:
    """A child is worth the share of its operations that are `WANTED`; 1/13 if drawn uniformly."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._evaluate(architecture) for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        assert isinstance(architecture, CellArchitecture)
        cells = (architecture.normal, architecture.reduction)
        labels = [label for cell in cells for block in cell.blocks for _, label in block.inputs]
        share = labels.count(WANTED) / len(labels)
        return Evaluation("ok", share, (share,), 0.0, 0, "stub")


class AlwaysFails:
    """No child can be trained."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        failed = Evaluation("diverged", 0.0, (), 0.0, 0, "stub", message="the loss is nan")
        return [failed for _ in architectures]


def make_stub(seed: int = 0, blocks: int = 2, fails: bool = False) -> NASEnv:
    """A small NASNet search space with a stub for an evaluator."""
    evaluator = AlwaysFails() if fails else ShareOfConvolutions()
    return NASEnv(NASNetSearchSpace(blocks), evaluator)


gym.register(STUB_ID, entry_point="tests.agents.stubs:make_stub")
