"""`RecurrentEnv`: the environment of a family of recurrent cells, whose children model texts."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.data.text import Level, TextDataset, load_text
from nas_gym.envs.family_env import FamilyEnv
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.settings import Size, settings
from nas_gym.training.tasks.language import LanguageSettings


@settings
class Texts:
    """The text that children are trained on, and where."""

    dataset: str = "pydoc"
    """`"pydoc"`, `"ptb"`, a text file, or a folder of train.txt, valid.txt and test.txt."""
    level: Level = "word"
    """The unit of the text, of which the next is predicted: `"word"` or `"character"`."""
    vocabulary: Size | None = None
    """Number of the most frequent words to know; default: all."""
    device: str = "auto"
    """`"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"` or `"mps"`."""

    def load(self) -> TextDataset:
        """Return the text; `InvalidDataset` if it cannot be had."""
        return load_text(self.dataset, self.level, self.vocabulary)


class RecurrentEnv(FamilyEnv):
    """An environment of recurrent cells; see `FamilyEnv`."""

    data_type = Texts
    network_settings_type = LanguageModelSettings
    training_settings_type = LanguageSettings
    defaults: ClassVar[dict[str, Any]] = {
        **{"vocabulary": 500, "data_fraction": 0.5, "units": 32, "batch_size": 64, "bptt": 20},
        **{"epochs": 2, "optimizer": "adam", "learning_rate": 0.01, "schedule": "cosine"},
    }
