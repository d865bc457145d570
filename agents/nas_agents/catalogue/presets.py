"""The papers' searches as plain data, at full scale and scaled down: ``nas-gym search --preset``.

Values that a paper does not give are marked as our choice. Sources: NAS, Zoph & Le 2017,
https://arxiv.org/abs/1611.01578, section 4.1; NASNet, Zoph et al. 2018,
https://arxiv.org/abs/1707.07012, section 3 and appendix A; ENAS, Pham et al. 2018,
https://arxiv.org/abs/1802.03268, and its released code, https://github.com/melodyguan/enas; TuNAS,
Bender et al. 2020, https://arxiv.org/abs/2008.06120, and ProxylessNAS-R, Cai et al. 2019,
https://arxiv.org/abs/1812.00332, by their released codes, with SGD for TuNAS's RMSProp.
ENAS's paper says nothing of its networks that the released code does not, so that both of its sets
of constants have the same ones. What its macro search finds is trained with as many layers as it
was found with; the released script trains a network of 24. Final trainings follow one half cosine
to a learning rate of 0, where the released ones start again and again (T_0 = 10, T_mul = 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_agents.catalogue.defaults import ENAS_RELEASED, Plan, enas, enas_policy
from nas_gym.errors import InvalidSettings, require
from nas_gym.outside.json_text import read_json_file, short_name
from nas_gym.settings import Above0, from_mapping, require_known, settings

SHARED = ("enas", "tunas", "proxylessnas")
"""Agents whose children share weights."""
MERGED = ("env_arguments", "agent_arguments", "final_arguments")


@settings
class Rates:
    """How fast a GPU trains children, for estimates of costs; by default, guesses."""

    multiply_adds: Above0 = 5e12
    """Multiply-adds a second that are sustained in training."""
    seconds_a_call: Above0 = 5e-6
    """Seconds that the launch of a kernel takes."""


def measured_rates(path: Path) -> tuple[Rates, str]:
    """Return what ``examples/benchmarks/gpu.sh`` wrote to a file: rates, and those of which GPU."""
    facts, name = read_json_file(path), f"rates: {short_name(path)}"
    if not isinstance(facts, Mapping) or "figures" not in facts:
        raise InvalidSettings(f"{name} is not of gpu.sh; run examples/benchmarks/gpu.sh")
    measured = facts.get("rates")
    require(measured is not None, f"{name} has no rates; run gpu.sh on a GPU, without --dry")
    return from_mapping(Rates, name, measured), str(facts.get("hardware"))[:100]


@dataclass(frozen=True)
class Preset:
    """A search, and its published and estimated costs."""

    about: str
    env_id: str
    agent: str
    episodes: int
    """Number of children in all."""
    envs: int
    """Number of networks designed, and then evaluated, at a time."""
    images: int
    """Training images of each child, or words."""
    multiply_adds: float
    """Of a child's inference on one image: the mean of 100 random architectures."""
    kernel_calls: int | None = None
    """Of a training step on a GPU: the mean of 20 random architectures, by
    `examples/benchmarks/kernel_calls.py`; None where they were not counted."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    agent_arguments: Mapping[str, Any] = field(default_factory=dict)
    final_arguments: Mapping[str, Any] = field(default_factory=dict)
    workers: int | None = None
    """Number of children the paper trained at a time; None for a search that is scaled down."""
    published_cost: str = ""
    """Cost of the paper's search; NAS's as NASNet's paper gives it."""
    measured_seconds: float | None = None
    """Of the search and the final training together, on one core of an AMD EPYC (Zen 4)."""

    def child_seconds(self, rate: float) -> float | None:
        """Estimate the seconds of a child's training, at ``rate`` multiply-adds a second.

        They are three times the forward pass of every image, in each epoch. None for a search that
        is scaled down: multiply-adds say nothing of the time of tiny networks.
        """
        if self.workers is None:
            return None
        epochs: int = self.env_arguments["epochs"]
        training = 3 * self.multiply_adds * self.images * epochs
        if self.agent in SHARED:  # a share of the shared weights' training, and a minibatch
            training /= self.episodes
            training += self.multiply_adds * self.env_arguments["batch_size"]
        return training / rate

    def launch_seconds(self, seconds_a_call: float) -> float | None:
        """Estimate the seconds that a child's training takes to launch its kernels, one by one.

        None where the kernel calls of a step were not counted.
        """
        if self.kernel_calls is None:
            return None
        steps = self.images // self.env_arguments["batch_size"] * self.env_arguments["epochs"]
        return float(steps * self.kernel_calls * seconds_a_call)


_ENAS_PAPER = {"epochs": 310, "weight_decay": 1e-4, "lowest_learning_rate": 0.001}
_ENAS_PAPER_AGENT = {
    **{"learning_rate": 3.5e-4, "n_episodes": 1, "episodes_an_epoch": 2_000},
    **{"entropy_reward": 0.1, "skip_target": 0.4, "skip_weight": 0.8},
    "baseline_decay": 0.99,  # the released code's
    "policy_kwargs": {"controller": "enas"},
}
_ENAS_SEARCH = {
    **{"dataset": "cifar10", "evaluator": "weight-sharing", "form": "released_search"},
    **{"learning_rate": 0.05, "dropout": 0.1},
}
_ENAS_FINAL = {"form": "released_final", "learning_rate": 0.05, "weight_decay": 4e-4}
_ENAS: dict[str, dict[str, Any]] = {
    "nas_gym/ENASMicro-v0": {
        "multiply_adds": 5.366e7,
        "search": {"cells": 2, "filters": 20, "batch_size": 160, "auxiliary_head": True},
        "final": {
            **{"cells": 5, "filters": 36, "auxiliary_head": True, "batch_size": 144},
            **{"epochs": 630, "dropout": 0.2, "drop_path_keep": 0.6, "cutout": 16},
        },
    },
    "nas_gym/ENASMacro-v0": {
        "multiply_adds": 5.764e7,
        "search": {"layers": 12, "filters": 36, "batch_size": 128},
        "final": {"filters": 96, "batch_size": 100, "epochs": 310, "dropout": 0.5},
    },
}

_MOBILE_SEARCH = {
    **{"dataset": "cifar10", "evaluator": "weight-sharing"},
    **{"width": 1.0, "divisor": 8, "halvings": 3},
}
_MOBILE_TARGET = 96_753_152.0
"""Multiply-adds of ProxylessNAS-Mobile on 32x32 images, in the place of its latency on a phone."""
_MOBILE_FINAL = {"epochs": 300, "batch_size": 128, "learning_rate": 0.05}  # our choice


def _enas(
    about: str,
    env_id: str,
    env_arguments: Mapping[str, Any],
    episodes: int = 620_000,
    envs: int = 1,
    agent_arguments: Mapping[str, Any] = _ENAS_PAPER_AGENT,
    final_arguments: Mapping[str, Any] = {},
) -> Preset:
    """Return one of ENAS's searches, with what they have in common; by default the paper's."""
    common = _ENAS[env_id]
    return Preset(
        *(f"ENAS {about}", env_id, "enas", episodes, envs),
        images=45_000,
        multiply_adds=common["multiply_adds"],
        env_arguments={**_ENAS_SEARCH, **common["search"], **env_arguments},
        agent_arguments=agent_arguments,
        final_arguments={**_ENAS_FINAL, **common["final"], **final_arguments},
        published_cost="one GPU, less than 16 hours",
        workers=1,
    )


PRESETS = {
    "nas-paper": Preset(
        about="NAS on CIFAR-10: 12,800 chains of 6 to 20 layers, REINFORCE, LSTM of 2 x 35",
        env_id="nas_gym/NAS-v0",
        agent="nas",
        episodes=12_800,
        envs=8,
        images=45_000,
        multiply_adds=1.397e9,
        kernel_calls=156,
        env_arguments={
            **{"dataset": "cifar10", "layers": 20, "depth_schedule": [6, 2, 1600]},
            **{"filter_scale": 1.0, "epochs": 50, "learning_rate": 0.1, "weight_decay": 1e-4},
            "batch_size": 128,  # our choice
            "reward": "nas",
        },
        final_arguments={"epochs": 300},  # our choice; the paper: until convergence
        published_cost="800 GPUs, 28 days",
        workers=800,
    ),
    "nas-laptop": Preset(
        about="the same on digits: 96 chains of 2 to 6 layers, two epochs each",
        env_id="nas_gym/NAS-v0",
        agent="nas",
        episodes=96,
        envs=8,
        images=1_079,
        multiply_adds=1.821e6,
        env_arguments={
            **{"dataset": "digits", "layers": 6, "depth_schedule": [2, 2, 32]},
            **{"filter_scale": 0.5, "epochs": 2, "reward": "nas"},
        },
        agent_arguments={"learning_rate": 0.006},
        final_arguments={"epochs": 25},
        measured_seconds=139.0,
    ),
    "nasnet-paper": Preset(
        about="NASNet on CIFAR-10: 20,000 pairs of cells, PPO, LSTM of 1 x 100",
        env_id="nas_gym/NASNet-v0",
        agent="nasnet",
        episodes=20_000,
        envs=20,
        images=45_000,
        multiply_adds=1.987e8,
        kernel_calls=1_333,
        env_arguments={
            **{"dataset": "cifar10", "blocks": 5, "cells": 2, "filters": 32, "epochs": 20},
            "batch_size": 32,  # ours, as the learning rate: those of the final training
            "learning_rate": 0.025,
        },
        final_arguments={
            **{"cells": 6, "filters": 32, "auxiliary_head": True, "drop_path_keep": 0.6},
            **{"epochs": 600, "batch_size": 32, "learning_rate": 0.025},
            **{"weight_decay": 5e-4, "gradient_clip": 5.0},
        },
        published_cost="500 GPUs, 4 days",
        workers=450,
    ),
    "nasnet-laptop": Preset(
        about="the same on digits: 100 pairs of cells of 5 blocks, N = 1, F = 8, one epoch each",
        env_id="nas_gym/NASNet-v0",
        agent="nasnet",
        episodes=100,
        envs=20,
        images=1_079,
        multiply_adds=6.658e5,
        env_arguments={"dataset": "digits", "blocks": 5, "cells": 1, "filters": 8, "epochs": 1},
        agent_arguments={"learning_rate": 3e-3},
        final_arguments={"epochs": 20, "filters": 16},
        measured_seconds=126.0,
    ),
    "enas-micro-released": _enas(
        "micro on CIFAR-10, the released scripts: 150 epochs of the shared weights",
        "nas_gym/ENASMicro-v0",
        episodes=45_000,
        envs=10,
        env_arguments={"epochs": 150, "weight_decay": 2e-4},
        agent_arguments=enas(Plan(decisions=40, episodes=45_000)),
    ),
    "enas-macro-released": _enas(
        "macro on CIFAR-10, the released scripts: 310 epochs of the shared weights",
        "nas_gym/ENASMacro-v0",
        episodes=310_000,
        envs=20,
        env_arguments={"epochs": 310, "weight_decay": 5e-4},
        agent_arguments={
            **ENAS_RELEASED,
            **{"learning_rate": 0.001, "n_episodes": 20, "episodes_an_epoch": 1_000},
            "policy_kwargs": enas_policy("enas-macro-released"),
        },
    ),
    "enas-micro-paper": _enas(
        "micro on CIFAR-10, the paper: 310 epochs, a controller of 1 x 100",
        "nas_gym/ENASMicro-v0",
        env_arguments=_ENAS_PAPER,
        final_arguments={"cells": 6},
    ),
    "enas-macro-paper": _enas(
        "macro on CIFAR-10, the paper: 310 epochs, a controller of 1 x 100",
        "nas_gym/ENASMacro-v0",
        env_arguments=_ENAS_PAPER,
    ),
    "tunas-released": Preset(
        about="TuNAS's released constants, on CIFAR-10: 90 epochs of the shared weights",
        env_id="nas_gym/TuNAS-v0",
        agent="tunas",
        episodes=315_000,
        envs=10,
        images=45_000,
        multiply_adds=9.227e7,
        env_arguments={
            **_MOBILE_SEARCH,
            **{"epochs": 90, "period": 90, "weight_decay": 4e-5, "label_smoothing": 0.1},
            **{"batch_size": 128, "learning_rate": 0.05, "lowest_learning_rate": 0.0},  # ours
            "reward": {"name": "tunas", "cost": "multiply_adds", "target": _MOBILE_TARGET},
        },
        agent_arguments={"episodes_an_epoch": 3_500},  # an update a step, as released
        final_arguments=_MOBILE_FINAL,
        published_cost="32 cores of TPUs, 90 epochs of ImageNet",
        workers=1,
    ),
    "proxylessnas-r-released": Preset(
        about="ProxylessNAS-R's released constants, on CIFAR-10: 40 + 120 epochs",
        env_id="nas_gym/ProxylessNAS-v0",
        agent="proxylessnas",
        episodes=480_000,
        envs=10,
        images=45_000,
        multiply_adds=1.129e8,
        env_arguments={
            **_MOBILE_SEARCH,
            **{"epochs": 160, "period": 160, "weight_decay": 4e-5, "label_smoothing": 0.1},
            **{"batch_size": 256, "learning_rate": 0.025, "lowest_learning_rate": 0.0},
            "reward": {"name": "proxylessnas", "cost": "multiply_adds", "target": _MOBILE_TARGET},
        },
        agent_arguments={"episodes_an_epoch": 3_000},  # 300 updates of 10
        final_arguments=_MOBILE_FINAL,
        published_cost="200 GPU hours on ImageNet",
        workers=1,
    ),
}

_KEPT = {
    **{"reward": {"name": "perplexity", "c": 80}, "dataset": "ptb", "vocabulary": None},
    **{"optimizer": "sgd", "learning_rate": 20.0, "schedule": "constant", "bptt": 35},
    **{"weight_decay": 8e-7, "dropout_output": 0.75},
}
_FINAL_CELL = {
    **{"units": 800, "batch_size": 64, "epochs": 3000, "gradient_clip": 0.25, "init_range": 0.05},
    **{"dropout_embedding": 0.125, "dropout_input": 0.773, "dropout_hidden": 0.225},
    **{"activation_regularization": 0.7, "slowness": 1.0},
}
PRESETS["enas-recurrent-released"] = Preset(
    about="ENAS recurrent on Penn Treebank, the released code: 600 epochs of the shared weights",
    env_id="nas_gym/ENASRecurrent-v0",
    agent="enas",
    episodes=150_000,
    envs=10,
    images=929_589,
    multiply_adds=2.88e6,
    env_arguments={
        **_KEPT,
        **{"evaluator": "weight-sharing", "nodes": 9, "units": 200, "epochs": 600},
        **{"batch_size": 128, "gradient_clip": 0.1, "slowness": 1.0, "init_range": 0.04},
        **{"dropout_embedding": 0.1, "dropout_input": 0.8, "dropout_hidden": 0.25},
    },
    agent_arguments={
        **{"learning_rate": 5e-5, "n_episodes": 10, "episodes_an_epoch": 250},
        **{"entropy_reward": 1e-5, "baseline_decay": 0.999, "own_reward": True},
        "policy_kwargs": {"controller": "enas-recurrent-released"},
    },
    final_arguments=_FINAL_CELL,
    published_cost="not stated",
    workers=1,
)
"""The code's two dropouts of a cell's input, 0.2 and 0.75, are one here that keeps as many. No
averaged SGD in the final training: the code finds its start by the validation."""


def preset(name: str) -> Preset:
    """Return the preset of that name; `InvalidSettings` if there is none."""
    require_known([name], PRESETS, "preset: ")
    return PRESETS[name]


def with_preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `SearchSettings`: a preset's, replaced by those given.

    Of ``env_arguments``, ``agent_arguments`` and ``final_arguments``, single entries take the place
    of single entries. Those of another agent, or of another environment, are not kept.
    """
    chosen = preset(name)
    settings = {name: getattr(chosen, name) for name in ("env_id", "agent", "episodes", "envs")}
    settings |= {name: dict(getattr(chosen, name)) for name in MERGED}
    if given.get("agent", chosen.agent) != chosen.agent:
        settings["agent_arguments"] = {}
    if given.get("env_id", chosen.env_id) != chosen.env_id:
        settings["env_arguments"], settings["final_arguments"] = {}, {}
    for key, value in given.items():
        settings[key] = {**settings[key], **value} if key in MERGED else value
    return settings
