"""The papers' searches as presets: all of them can be made, and what they are said to cost."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.presets import PRESETS, measured_rates, preset, with_preset
from nas_agents.controllers.nasnet_ppo import BaselinePPO
from nas_agents.controllers.reinforce import Reinforce
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import InvalidSettings, NASVectorEnv
from nas_gym.data.loading import load_dataset
from nas_gym.data.text import load_text
from nas_gym.envs import environment_type
from nas_gym.envs.family_env import FamilyEnv
from nas_gym.envs.recurrent_env import RecurrentEnv
from nas_gym.families.enas_recurrent.sharing import RecurrentSharing
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.sb3 import NASVecEnv
from nas_gym.training.presets import final_settings
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings
from tests.agents.command import nas_gym
from tests.agents.search.test_run import episodes_of
from tests.helpers import StubEvaluator


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_settings_of_a_search(name: str) -> None:
    """Plain data that the environment, the agent and the final training take."""
    settings = SearchSettings(**with_preset(name, {"seed": 3}))
    assert json.loads(json.dumps(with_preset(name, {}))) == with_preset(name, {})
    env_class = environment_type(settings.env_id)
    assert issubclass(env_class, FamilyEnv)
    given = {
        key: value
        for key, value in settings.env_arguments.items()
        if key not in ("dataset", "vocabulary", "reward")
    }
    evaluator: Any
    if issubclass(env_class, RecurrentEnv):
        given |= {"units": 2, "nodes": 2, "batch_size": 4}
        del given["evaluator"]
        of_search_space, training = env_class.split_arguments(given, "weight-sharing")
        search_space = env_class.search_space_type(**of_search_space)
        text: Any = load_text("pydoc", vocabulary=9)
        evaluator = RecurrentSharing(search_space, text, training, "cpu")
        training = evaluator.child_settings
    elif given.pop("evaluator", None) == "weight-sharing":
        smaller = {"width": 0.1, "divisor": 1} if "width" in given else {"filters": 2}
        given |= smaller | ({"cells": 1} if "cells" in given else {})
        of_search_space, training = env_class.split_arguments(given, "weight-sharing")
        assert isinstance(training, WeightSharingSettings)
        search_space = env_class.search_space_type(**of_search_space)
        digits = load_dataset("digits")
        evaluator = WeightSharing(search_space, digits, training, "cpu")
        training = evaluator.child_settings
    else:
        of_search_space, training = env_class.split_arguments(given)
        search_space, evaluator = env_class.search_space_type(**of_search_space), StubEvaluator()
    final_settings(training, settings.final_arguments)
    venv = NASVectorEnv(search_space, evaluator, settings.envs, autoreset_mode="SameStep")
    plan = Plan(venv.decisions, settings.episodes or 0, settings.envs)
    agent = find_agent(settings.agent)
    agent.make(NASVecEnv(venv), agent.arguments(plan, settings.agent_arguments), settings.seed)


def test_the_papers_controllers() -> None:
    venv = NASVectorEnv(
        environment_type("nas_gym/NASNet-v0").default_search_space(),
        StubEvaluator(), 20, autoreset_mode="SameStep",
    )  # fmt: skip
    plan = Plan(venv.decisions, 20_000, 20)
    nasnet, nas = (
        agent.make(NASVecEnv(venv), agent.arguments(plan), 0)
        for agent in map(find_agent, ("nasnet", "nas"))
    )
    assert isinstance(nasnet, BaselinePPO)
    assert (nasnet.learning_rate, nasnet.ent_coef, nasnet.baseline.decay) == (3.5e-4, 1e-5, 0.95)
    assert nasnet.n_steps * nasnet.n_envs == 20 * venv.decisions
    assert isinstance(nas, Reinforce)
    assert (nas.learning_rate, nas.n_episodes) == (6e-4, 8)
    assert nas.policy.features_extractor.lstm.num_layers == 2
    assert (preset("nas-paper").episodes, preset("nasnet-paper").episodes) == (12_800, 20_000)


def test_what_is_given_takes_the_place_of_the_presets() -> None:
    given = {"episodes": 7, "env_arguments": {"epochs": 3}, "agent_arguments": {"ent_coef": 0.1}}
    settings = with_preset("nasnet-laptop", given)
    assert settings["episodes"] == 7
    assert settings["env_arguments"]["epochs"] == 3
    assert settings["env_arguments"]["filters"] == 8
    assert settings["agent_arguments"]["ent_coef"] == 0.1
    assert settings["agent_arguments"]["learning_rate"] == 3e-3
    other = with_preset("nasnet-laptop", {"agent": "random"})
    assert other["agent_arguments"] == {}
    assert other["env_arguments"] == PRESETS["nasnet-laptop"].env_arguments
    elsewhere = with_preset("nasnet-laptop", {"env_id": "nas_gym/NAS-v0"})
    assert elsewhere["env_arguments"] == elsewhere["final_arguments"] == {}
    assert set(settings) <= {field.name for field in fields(SearchSettings)}
    with pytest.raises(InvalidSettings, match=r"preset: 'nasnet' is not known; .*nasnet-laptop"):
        with_preset("nasnet", {})


def test_the_multiply_adds_are_what_is_counted() -> None:
    """Of ten architectures in the place of a hundred, over all of the depth schedule."""
    chosen, env_class = preset("nas-laptop"), environment_type("nas_gym/NAS-v0")
    assert issubclass(env_class, FamilyEnv)
    given = dict(chosen.env_arguments)
    del given["dataset"], given["reward"]
    of_search_space, settings = env_class.split_arguments(given)
    search_space, rng = env_class.search_space_type(**of_search_space), np.random.default_rng(0)
    counts = []
    for sample in np.linspace(0, chosen.episodes, 10, endpoint=False).astype(int).tolist():
        stage = search_space.stage(sample)
        child = stage.decode(stage.sample(rng))
        counts.append(measure_cost(child, ImageShape(1, 8, 8, 10), settings.network).multiply_adds)
    assert np.mean(counts) == pytest.approx(chosen.multiply_adds, rel=0.5)


def test_a_scaled_down_search_runs(tmp_path: Path) -> None:
    """Its depth schedule included: networks of two layers, then of four."""
    given = {"episodes": 4, "envs": 2, "final": False}
    arguments = {"epochs": 1, "depth_schedule": [2, 2, 2]}
    settings = with_preset("nas-laptop", {**given, "env_arguments": arguments})
    result = search(SearchSettings(**settings), tmp_path / "run")
    depths = [record["architecture"].count("filter_height") for record in episodes_of(result.run)]
    assert depths == [2, 2, 4, 4]
    assert all(record["reward"] > 0 for record in episodes_of(result.run))


def test_the_presets_are_listed_with_their_costs() -> None:
    result = nas_gym("presets", "--json", "--rate", "1e12")
    rows = {row["preset"]: row for row in json.loads(result.stdout)}
    assert set(rows) == set(PRESETS)
    row = rows["nasnet-paper"]
    expected = 3 * row["multiply_adds"] * 45_000 * 20 / 1e12
    assert row["estimated_child_seconds"] == row["arithmetic_seconds"] == pytest.approx(expected)
    launches = 1_406 * 20 * (PRESETS["nasnet-paper"].kernel_calls or 0) * 5e-6
    assert row["launch_seconds"] == pytest.approx(launches)
    fast = json.loads(nas_gym("presets", "--json").stdout)
    assert {row["preset"]: row for row in fast}["nasnet-paper"][
        "estimated_child_seconds"
    ] == pytest.approx(launches)
    assert row["estimated_device_days"] == pytest.approx(20_000 * expected / 86_400)
    table = nas_gym("presets")
    assert table.exit_code == 0
    assert "12,800" in table.stdout
    wrong = nas_gym("presets", "--rate", "0")
    assert wrong.exit_code == 2


def test_estimates_take_measured_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    measured = {"multiply_adds": 2e12, "seconds_a_call": 1e-6}
    facts = {"hardware": "A GPU", "figures": {}, "rates": measured}

    def child(*options: str) -> dict[str, Any]:
        result = nas_gym("presets", "--json", *options, catch_exceptions=False)
        rows: list[dict[str, Any]] = json.loads(result.stdout)
        return {row["preset"]: row for row in rows}["nasnet-paper"]

    guessed = child()
    assert guessed["rates"] == "guesses"
    for path in (Path("elsewhere.json"), Path("gpu.json")):
        path.write_text(json.dumps(facts))
        row = child(*(["--rates", path.name] if path.name != "gpu.json" else []))
        assert row["rates"] == "measured on A GPU"
        assert row["arithmetic_seconds"] == pytest.approx(2.5 * guessed["arithmetic_seconds"])
        assert row["launch_seconds"] == pytest.approx(guessed["launch_seconds"] / 5)
    assert "measured on A GPU: 3 forward" in " ".join(nas_gym("presets").stdout.split())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "is not of gpu.sh"),
        ({"figures": {}}, "has no rates; run gpu.sh on a GPU"),
        ({"figures": {}, "rates": {"multiply_adds": 0.0}}, "expected a number greater than 0"),
    ],
)
def test_rates_that_are_none_give_one_line(content: object, says: str, tmp_path: Path) -> None:
    (tmp_path / "rates.json").write_text(json.dumps(content))
    with pytest.raises(InvalidSettings, match=says):
        measured_rates(tmp_path / "rates.json")
