"""Language modelling: windows, states that are carried, losses, perplexity, averaged weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym import InvalidSettings, Trainer, load_dataset, published
from nas_gym.data.text import TextDataset, load_text
from nas_gym.evaluation.metric import BITS_PER_CHARACTER, PERPLEXITY
from nas_gym.networks import TokenShape, measure_cost
from nas_gym.networks.language_model import LanguageModel, LanguageModelSettings
from nas_gym.rewards import reward_by_name
from nas_gym.training.final import train_final
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import optimizers
from nas_gym.training.tasks import language
from nas_gym.training.tasks.language import LanguageModelling, LanguageSettings
from nas_gym.training.trainer import train_child

NETWORK = LanguageModelSettings(units=8)
SETTINGS = LanguageSettings(
    network=NETWORK,
    epochs=2,
    batch_size=4,
    bptt=5,
    optimizer="adam",
    learning_rate=0.02,
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextDataset:
    """A text in which the next word follows from the last two."""
    words = ["a", "b", "a", "c", "a", "b", "b", "c"]
    file = tmp_path_factory.mktemp("text") / "pattern.txt"
    file.write_text("\n".join(" ".join(words) for _ in range(60)))
    return load_text(file)


def task_of(trainer: Trainer) -> LanguageModelling:
    assert isinstance(trainer.task, LanguageModelling)
    return trainer.task


def model(trainer: Trainer, name: str = "NASCell") -> LanguageModel:
    network = trainer.build(published(name))
    assert isinstance(network, LanguageModel)
    return network


def test_windows_cover_the_text_and_follow_each_other(text: TextDataset) -> None:
    task = task_of(Trainer(text, SETTINGS, "cpu"))
    windows = list(task.windows(task.stream, 5))
    assert len(windows) == task.steps_per_epoch
    inputs, targets = (torch.cat(parts) for parts in zip(*windows, strict=True))
    rows = len(text.train) // 4
    assert inputs.shape == targets.shape == (rows - 1, 4)
    assert inputs[:, 1].tolist() == text.train[rows : 2 * rows - 1].tolist()
    assert targets[:, 1].tolist() == text.train[rows + 1 : 2 * rows].tolist()


def test_states_are_carried_from_window_to_window(text: TextDataset) -> None:
    trainer = Trainer(text, SETTINGS, "cpu")
    network, words = model(trainer).eval(), torch.from_numpy(text.train[:12]).view(12, 1)
    whole = network.run(words)
    first = network.run(words[:7])
    second = network.run(words[7:], first.states)
    torch.testing.assert_close(torch.cat([first.logits, second.logits]), whole.logits)


@pytest.mark.parametrize("name", ["NASCell", "ENAS-Recurrent", "GRU"])
def test_a_child_learns_and_its_record_names_the_metric(name: str, text: TextDataset) -> None:
    """The words' frequencies alone have a perplexity above 3; the pattern has one near 1."""
    settings = replace(SETTINGS, epochs=6)
    evaluation = train_child(published(name), text, settings, "cpu")
    assert (evaluation.status, evaluation.message) == ("ok", "")
    assert evaluation.metric == "perplexity"
    assert evaluation.value is not None
    assert evaluation.value < 2.0
    assert evaluation.accuracy == evaluation.curve[-1] == pytest.approx(1 / evaluation.value)
    assert evaluation == replace(
        train_child(published(name), text, settings, "cpu"), seconds=evaluation.seconds
    )
    reward = reward_by_name({"name": "perplexity", "c": 80, "power": 2})
    assert reward(evaluation) == pytest.approx(80 / evaluation.value**2)


def test_perplexity_is_that_of_every_word_but_the_first(text: TextDataset) -> None:
    trainer = Trainer(text, SETTINGS, "cpu")
    network = model(trainer).eval()
    stream = torch.from_numpy(text.validation)
    columns = stream[: len(stream) // 4 * 4].view(4, -1).T
    chances = network(columns[:-1]).log_softmax(-1).gather(2, columns[1:, :, None])
    expected = math.exp(-chances.mean().item())
    assert trainer.task.value(network, "validation") == pytest.approx(expected, rel=1e-5)


def test_characters_are_measured_in_bits(tmp_path: Path) -> None:
    (tmp_path / "abc.txt").write_text("abcd" * 300)
    trainer = Trainer(load_text(tmp_path / "abc.txt", "character"), SETTINGS, "cpu")
    network = model(trainer)
    torch.nn.init.zeros_(network.embedding.weight)  # all characters are equally likely
    assert trainer.task.metric is BITS_PER_CHARACTER
    assert trainer.task.value(network, "test") == pytest.approx(2.0)
    evaluation = trainer.evaluate_one(published("NASCell"))
    assert (evaluation.metric, evaluation.status) == ("bits_per_character", "ok")
    value = evaluation.value
    assert value is not None
    assert evaluation.accuracy == pytest.approx(1 / (1 + value))
    assert reward_by_name({"name": "perplexity"})(evaluation) == pytest.approx(80 / 2**value)


def test_the_final_training_tests_on_all_data(text: TextDataset) -> None:
    result = train_final(published("ENAS-Recurrent"), text, replace(SETTINGS, epochs=1), "cpu")
    assert result.metric == "perplexity"
    assert result.test_value is not None
    assert result.test_accuracy == pytest.approx(1 / result.test_value)
    counts = np.bincount(np.concatenate([text.train, text.validation]), minlength=4) + 1
    chances = counts / counts.sum()
    assert result.majority == pytest.approx(math.exp(np.log(chances[text.test]).mean()))


def test_losses_that_regularize_activations(text: TextDataset) -> None:
    """Alpha's and beta's terms, as AWD-LSTM has them."""
    settings = replace(SETTINGS, activation_regularization=2.0, slowness=3.0)
    task = task_of(Trainer(text, settings, "cpu"))
    network = model(Trainer(text, settings, "cpu"))
    words, targets = next(iter(task.windows(task.stream, 5)))
    output = network.run(words)
    main, loss = task.losses(output, targets)
    steps = (output.raw[1:] - output.raw[:-1]).pow(2).mean()
    torch.testing.assert_close(loss, main + 2 * output.dropped.pow(2).mean() + 3 * steps)


def test_averaged_weights_are_the_mean_of_the_steps_after_the_start(
    text: TextDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, average_after=1, data_fraction=0.2)
    trainer, seen = Trainer(text, settings, "cpu"), []
    descend = optimizers.descend

    def noted(loss: Tensor, optimizer: torch.optim.Optimizer, *given: Any) -> None:
        descend(loss, optimizer, *given)
        seen.append(network.decoder.weight.detach().clone())

    monkeypatch.setattr(language, "descend", noted)
    with trainer.isolated(0):
        network = model(trainer)
        list(trainer.fit(network))
    averaged = seen[trainer.task.steps_per_epoch :]
    assert len(averaged) > 1
    torch.testing.assert_close(network.decoder.weight.detach(), torch.stack(averaged).mean(dim=0))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["NASCell", "ENAS-Recurrent"])
def test_dropout_goes_with_every_precision(text: TextDataset, name: str, precision: Any) -> None:
    network = replace(NETWORK, dropout_hidden=0.2, weight_drop=0.2)
    settings = replace(SETTINGS, network=network, precision=precision, data_fraction=0.2)
    evaluation = train_child(published(name), text, settings, "cpu")
    assert evaluation.status == "ok", evaluation.message


def test_dropout_is_for_training_alone(text: TextDataset) -> None:
    torch.manual_seed(0)  # one in 300 masks keeps all of its 16 entries
    network_settings = replace(
        NETWORK,
        layers=2,
        dropout_embedding=0.2,
        dropout_input=0.3,
        dropout_hidden=0.3,
        dropout_output=0.3,
        weight_drop=0.3,
    )
    trainer = Trainer(text, replace(SETTINGS, network=network_settings), "cpu")
    words = torch.from_numpy(text.train[:12]).view(6, 2)
    for name in ("NASCell", "ENAS-Recurrent", "LSTM"):
        network = model(trainer, name)
        one, other = (network.train().run(words) for _ in range(2))
        assert not torch.equal(one.logits, other.logits)
        masks = network._dropped(torch.ones(6, 2, 8), 0.3)
        assert masks.unique().tolist() == pytest.approx([0, 1 / 0.7])
        assert torch.equal(masks, masks[:1].expand(6, 2, 8))  # the same in every step
        network.eval()
        assert torch.equal(network(words), network(words))


def test_sizes_are_the_published_ones() -> None:
    """ENAS's final model: 20.8 million; DARTS's, with 850 units and a bias: 22.96 million."""
    enas = LanguageModelSettings(units=800)
    darts = LanguageModelSettings(units=850, decoder_bias=True)
    words = TokenShape(10_000)
    assert measure_cost(published("ENAS-Recurrent"), words, enas).parameters == 20_800_000
    assert measure_cost(published("DARTS-Recurrent-V2"), words, darts).parameters == 22_960_000
    nas = measure_cost(published("NASCell"), words, LanguageModelSettings(units=10, layers=2))
    assert nas.parameters == 2 * 8 * 10 * 20 + 100_000


def test_metrics_and_scores_are_inverse() -> None:
    for value in (1.0, 1.5, 80.0, 1e6):
        assert PERPLEXITY.score(value) == pytest.approx(1 / value)
        assert PERPLEXITY.value(PERPLEXITY.score(value)) == pytest.approx(value)


def test_what_does_not_fit_is_refused(text: TextDataset) -> None:
    with pytest.raises(InvalidSettings, match="LanguageModelling takes LanguageSettings"):
        Trainer(text, TrainingSettings(), "cpu")
    with pytest.raises(InvalidSettings, match="ImageClassification takes TrainingSettings"):
        Trainer(load_dataset("digits"), SETTINGS, "cpu")
    with pytest.raises(InvalidSettings, match="batch_size: the text has"):
        Trainer(text, replace(SETTINGS, batch_size=1000), "cpu")
    with pytest.raises(InvalidSettings, match="embedding: tied to the decoder"):
        LanguageModelSettings(units=8, embedding=4)
    diverged = train_child(published("NASCell"), text, replace(SETTINGS, learning_rate=1e30), "cpu")
    assert (diverged.status, diverged.accuracy, diverged.value) == ("diverged", 0.0, None)
