"""Language models: their folder, what they say of a text, and their exported step."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nas_gym import InvalidModel, InvalidSettings, load_model, published
from nas_gym.data.text import load_text
from nas_gym.models import TextModel, load_image_model
from nas_gym.models.text_exporting import export_text_model
from nas_gym.models.training import train_model
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.training.tasks.language import LanguageSettings
from tests.training.tasks.apple import OnApple


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a text in which the next word follows from the last two."""
    file = tmp_path_factory.mktemp("text") / "pattern.txt"
    file.write_text("a b a c\na b b c\n" * 60)
    network = LanguageModelSettings(units=6, layers=2)
    settings = LanguageSettings(network, 3, 4, "adam", 0.03, bptt=5)
    train_model(published("NASCell"), load_text(file), settings, file.parent / "model", "cpu")
    return file.parent / "model"


def loaded(folder: Path) -> TextModel:
    model = load_model(folder)
    assert isinstance(model, TextModel)
    return model


def test_a_gpu_without_float64_gives_the_same_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, read = loaded(folder), TextModel._read
    expected = model.next_words("a b")

    def on_apple(self: TextModel, words: Tensor) -> tuple[Tensor, float]:
        logits, nats = read(self, words)
        return logits.as_subclass(OnApple), nats

    monkeypatch.setattr(TextModel, "_read", on_apple)
    assert model.next_words("a b") == expected


def test_a_loaded_model_has_learned_the_text(folder: Path) -> None:
    """The words' frequencies alone have a perplexity above 3; other words are refused."""
    model = loaded(folder)
    assert set(model.vocabulary) == {"a", "b", "c", "<eos>"}
    assert model.measure("a b a c\na b b c\n" * 5) < 2.5
    assert next(iter(model.next_words("a b a c\na b b c\n", top=2))) == "a"
    assert next(iter(model.next_words("a b a c\na b b c", top=2))) == "<eos>"
    assert next(iter(model.next_words("a b a c\na", top=2))) == "b"
    assert sum(model.next_words("a b", top=9).values()) == pytest.approx(1.0)
    with pytest.raises(InvalidSettings, match="'d' is not in the vocabulary, which has no <unk>"):
        model.measure("a d")
    with pytest.raises(InvalidSettings, match="text: it is empty"):
        model.next_words("")
    with pytest.raises(InvalidSettings, match="text: it is empty"):
        model.next_words("  ")


def test_measures_are_those_of_all_words_read_at_once(folder: Path) -> None:
    model = loaded(folder)
    words = model.encode("a b a c\n" * 300)[:, None]  # more than are read at a time
    logits = model.network(words[:-1])[:, 0]
    nats = torch.nn.functional.cross_entropy(logits, words[1:, 0]).item()
    assert model.measure("a b a c\n" * 300) == pytest.approx(math.exp(nats), rel=1e-5)


def test_dropout_changes_no_measure_and_no_next_word(folder: Path) -> None:
    text, model = "a b a c\na b b c\n" * 5, loaded(folder)
    measured, following = model.measure(text), model.next_words(text)
    model.train()
    model.network.settings = replace(model.network.settings, dropout_output=0.5)
    assert (model.measure(text), model.next_words(text)) == (measured, following)
    assert model.network.training


def test_steps_are_the_network_unrolled(folder: Path) -> None:
    model = loaded(folder)
    words = torch.tensor([[0, 1], [2, 3], [1, 0]])
    states, logits = model.initial_states(2), []
    for step in words:
        each, *states = model(step, *states)
        logits.append(each)
    torch.testing.assert_close(torch.stack(logits), model.network(words))


@pytest.mark.parametrize("form", ["onnx", "torch-export"])
def test_an_exported_step_computes_the_same(form: str, folder: Path, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model = loaded(folder).train()
    exported = export_text_model(model, form, tmp_path)
    assert exported.difference < 1e-5
    assert exported.files[0].is_file()
    assert model.training  # a copy is exported, on the CPU


def test_what_a_language_model_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="exported as onnx or torch-export, not as python"):
        export_text_model(loaded(folder), "python", tmp_path)
    with pytest.raises(InvalidModel, match="is of texts"):
        load_image_model(folder)
