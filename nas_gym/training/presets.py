"""The papers' schedules of final trainings as plain data, and the settings that follow from them.

Sources: "nasnet", Zoph et al. 2018, appendix A, with the numbers of the code released for it
(https://github.com/tensorflow/models, research/slim/nets/nasnet); "amoebanet", Real et al. 2019,
section 3; "enas", the released script for micro cells, with one half cosine where that starts
again and again; "darts", Liu et al. 2019, section 3.2; "nasbench201", Dong & Yang 2020, table 1.
Here, all auxiliary heads have the weight 0.4, and drop path grows with depth, as NASNet's do; in
their papers, AmoebaNet's head has 0.5, and DARTS drops the paths of all cells alike. "adamw" is no
paper's: a short training with a warm-up, for data sets and times of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from nas_gym.errors import require
from nas_gym.outside.json_text import short
from nas_gym.settings import require_known
from nas_gym.training.settings import LearningSettings

Settings = TypeVar("Settings", bound=LearningSettings)
_SGD: dict[str, Any] = {
    **{"optimizer": "sgd", "momentum": 0.9, "warmup_epochs": 0, "label_smoothing": 0.0},
    "ema_decay": 0.0,
}
_CELLS: dict[str, Any] = {**_SGD, "epochs": 600, "auxiliary_head": True}
PRESETS: dict[str, dict[str, Any]] = {
    "nasnet": {
        **_CELLS,
        **{"batch_size": 32, "learning_rate": 0.025, "weight_decay": 5e-4, "gradient_clip": 5.0},
        **{"drop_path_keep": 0.6},
    },
    "amoebanet": {
        **_CELLS,
        **{"batch_size": 128, "learning_rate": 0.024, "weight_decay": 5e-4, "drop_path_keep": 0.7},
    },
    "enas": {
        **_CELLS,
        **{"epochs": 630, "batch_size": 144, "learning_rate": 0.05, "weight_decay": 4e-4},
        **{"drop_path_keep": 0.6, "dropout": 0.2, "cutout": 16},
    },
    "darts": {
        **_CELLS,
        **{"batch_size": 96, "learning_rate": 0.025, "weight_decay": 3e-4, "nesterov": False},
        **{"gradient_clip": 5.0, "drop_path_keep": 0.8, "cutout": 16},
    },
    "nasbench201": {
        **_SGD,
        **{"epochs": 200, "batch_size": 256, "learning_rate": 0.1, "weight_decay": 5e-4},
        **{"nesterov": True},
    },
    "adamw": {
        **{"epochs": 100, "optimizer": "adamw", "learning_rate": 2e-3, "weight_decay": 0.05},
        **{"warmup_epochs": 5, "label_smoothing": 0.1, "ema_decay": 0.999},
    },
}


def final_settings(
    settings: Settings, given: Mapping[str, Any], preset: str | None = None, side: int | None = None
) -> Settings:
    """Return the settings of the final training: a child's, for longer and in a wider network.

    Args:
        settings: A child's.
        given: Fields of these settings, or of the network's, that the user gave. Otherwise the
            final training takes eight times a child's epochs, at least 16, and twice its filters
            (`NetworkSettings.width_setting`), and nothing that makes a child's estimate cheaper.
            Where ``at_most`` limits a child's costs, the filters stay a child's.
        preset: Name of one of `PRESETS`, whose values come before those that follow from the
            child's. What this training does not have (`without`) is left out.
        side: The shorter side of the images, in pixels; a preset's cutout, which is half of
            CIFAR-10's, is at most half of it.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    child = settings.network
    of_network = asdict(child) if child else {}
    defaults: dict[str, Any] = {"epochs": max(16, 8 * settings.epochs)}
    limited = settings.at_most is not None
    if child is not None and child.width_setting in of_network and not limited:
        defaults[child.width_setting] = 2 * of_network[child.width_setting]
    if preset is not None:
        require_known([preset], PRESETS, "preset: ")
        of_preset = {n: v for n, v in PRESETS[preset].items() if _has(settings, n)}
        if side is not None and "cutout" in of_preset:
            of_preset["cutout"] = min(of_preset["cutout"], side // 2)
        defaults |= of_preset
    epochs = {**defaults, **given}["epochs"]
    if isinstance(epochs, int) and epochs <= defaults.get("warmup_epochs", 0):
        defaults["warmup_epochs"] = 0  # a shorter training was asked for
    whole = {"data_fraction": 1.0, "early_stopping": None, "inherit_weights": None}
    why = "a final training takes all data, to the end, with weights of its own"
    for name, value in whole.items():
        other = given.get(name, value)
        require(other == value, f"{name}: it is {value!r} here, got {short(other)}; {why}")
    given = {**defaults, **given, **whole}
    require_known(given, (*of_network, *asdict(settings)), "final: ")
    network = {name: value for name, value in given.items() if name in of_network}
    training = {name: value for name, value in given.items() if name not in of_network}
    return replace(settings, **{"network": child and replace(child, **network), **training})


def without(settings: LearningSettings, preset: str) -> list[str]:
    """Return what a preset sets and this training, or a network of this family, does not have."""
    return [name for name, value in PRESETS[preset].items() if value and not _has(settings, name)]


def _has(settings: LearningSettings, name: str) -> bool:
    """Return whether a training, or its network, has a setting."""
    return hasattr(settings, name) or hasattr(settings.network, name)
