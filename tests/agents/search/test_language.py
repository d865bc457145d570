"""A search for a recurrent cell, from end to end: its metric in every file, its network kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture
from nas_gym.models import TextModel, load_model
from nas_gym.networks import TokenShape, build_network
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.settings import from_mapping
from tests.agents.command import nas_gym


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text("a b c\nb c a\n" * 60)
    data = {"dataset": str(folder / "text.txt"), "vocabulary": None, "device": "cpu"}
    training = {"epochs": 1, "batch_size": 4, "units": 4, "bptt": 5, "base": 2}
    settings = SearchSettings(
        "nas_gym/NASCell-v0",
        "random",
        episodes=2,
        env_arguments={**data, **training, "reward": {"name": "perplexity"}},
        final_arguments={"epochs": 1},
    )
    search(settings, folder / "run")
    return folder / "run"


def test_every_file_names_the_metric(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["best"]["metric"] == summary["final"]["metric"] == "perplexity"
    episodes = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    for episode in episodes:
        assert episode["metric"] == "perplexity"
        assert episode["accuracy"] == pytest.approx(1 / episode["value"])
        assert episode["reward"] == pytest.approx(80 / episode["value"])
    assert summary["best"]["value"] == min(episode["value"] for episode in episodes)
    assert summary["final"]["test_value"] == pytest.approx(1 / summary["test_accuracy"])
    assert json.loads((run / "settings.json").read_text())["data"]["split"][0] > 0


def test_the_final_network_can_be_built_again(run: Path) -> None:
    facts = json.loads((run / "model" / "model.json").read_text())
    assert facts["vocabulary"][0] in "abc"
    network = build_network(
        Architecture.load(run / "model" / "architecture.json"),
        TokenShape(len(facts["vocabulary"])),
        from_mapping(LanguageModelSettings, "network", facts["network"]),
    )
    network.load_state_dict(load_file(run / "model" / "weights.safetensors"))
    assert isinstance(load_model(run / "model"), TextModel)


@pytest.mark.parametrize("command", [["show"], ["compare"], ["store", "show"]])
def test_commands_show_perplexities(run: Path, command: list[str]) -> None:
    result = nas_gym(*command, run)
    assert result.exit_code == 0, result.output
    assert ("parameters" if command == ["show"] else "perplexity") in result.output
