"""The subject of `nas-gym train`: an architecture, its data, and the settings of its training."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium

from nas_agents.catalogue.environments import make_environment
from nas_agents.runs.reading import has_run, load_architecture
from nas_agents.runs.settings import environment_arguments, load_record
from nas_agents.search.final import FinalTraining
from nas_gym import Architecture
from nas_gym.data.loading import load_dataset
from nas_gym.envs import environment_type
from nas_gym.envs.composition import Composition
from nas_gym.envs.family_env import FamilyEnv
from nas_gym.errors import require
from nas_gym.family import family_of
from nas_gym.networks import default_settings
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer

NOT_OF_DATA = (
    *("evaluator", "reward", "objectives", "limits", "render_mode", "early_stopping"),
    *("inherit_weights", "latency", "at_most", "count_activations"),
    *(field.name for field in fields(Composition)),
)
"""Arguments of a search's environment that a final training has no use for."""

MEASURED = ("latency", "peak_activation_bytes")
"""Costs that are measured for children alone, and so have no limit in a final training."""


def subject_of(
    name: str, data: Mapping[str, Any], given: Mapping[str, Any], preset: str | None = None
) -> tuple[Architecture, FinalTraining]:
    """Return an architecture and its final training.

    ``name`` is a run folder, whose architecture has the run's data and settings, a JSON file or a
    published name, trained as its family's environment trains children: see
    `nas_gym.training.presets.final_settings`. ``data`` and ``given`` are the data set's arguments
    and the settings that were given; ``preset`` names a schedule.
    """
    architecture = load_architecture(name)
    env_id, run = _environment(architecture), Path(name)
    arguments: dict[str, Any] = {}
    if has_run(run):
        env_id, arguments, of_run = _of_run(run, env_id, "dataset" in data)
        given = {**of_run, **given} if preset is None else given
    if env_id is None:
        of_data = {n: data[n] for n in ("image_size", "split_seed") if n in data}
        dataset = load_dataset(data.get("dataset", "digits"), **of_data)
        child = TrainingSettings(default_settings(architecture))
        trainer = Trainer(dataset, child, data.get("device", "auto"))
        final = FinalTraining.of(trainer, given, preset)
    else:
        with closing(make_environment(env_id, {**arguments, **data})) as env:
            final = FinalTraining.of(env.memory.evaluator, given, preset)
    assert final is not None
    return architecture, final


def _environment(architecture: Architecture) -> str | None:
    """Return the id of the environment whose children, of this family, are trained."""
    family = family_of(type(architecture))
    for env_id in family.environments if family else ():
        if _trains(environment_type(env_id)):
            return env_id
    return None


def _trains(environment: Any) -> bool:
    """Return True for the class of an environment whose children can be trained."""
    of_family = isinstance(environment, type) and issubclass(environment, FamilyEnv)
    return of_family and "trained" in environment.evaluators


def _of_run(
    run: Path, trained: str | None, has_data: bool
) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
    """Return the environment of a run, its arguments, and those of its final training."""
    settings, record = load_record(run)
    of_run = environment_arguments(settings, record)
    arguments = {"training_seed": settings.seed, **of_run}
    env_id = settings.env_id.rpartition(":")[2]  # the module itself is imported by --module
    unknown = f"run: {run} is of {env_id}, which is not known here; --module NAME registers it"
    require(env_id in gymnasium.registry, unknown)
    if not _trains(environment_type(env_id)):
        says = f"run: {run} trained no children ({env_id}); say on which data, by --dataset"
        require(has_data, says)
        return trained, {"training_seed": settings.seed}, dict(settings.final_arguments)
    shares = arguments.get("evaluator") == "weight-sharing"
    kept = {name: value for name, value in arguments.items() if name not in NOT_OF_DATA}
    if shares:
        kept["evaluator"] = "weight-sharing"
    if (limits := arguments.get("at_most")) is not None:
        kept["at_most"] = {each: limits[each] for each in limits if each not in MEASURED}
    return env_id, kept, dict(settings.final_arguments)
