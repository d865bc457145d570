"""Exported models compute what the model does."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_gym import InvalidSettings
from nas_gym.models import exporting, save_model
from nas_gym.models.exporting import FORMS, export_model
from nas_gym.models.plain import plain
from nas_gym.models.python_code import write_python
from nas_gym.search_spaces import SearchSpace
from tests.agents.command import nas_gym
from tests.models.tiny import FAMILIES, SMALLEST, images, smallest, tiny_model


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "COMPARED_PIXELS", 16 * 12 * 5)


# ONNX is made of what torch.export gives, so that form of its own is tried with a few families.
@pytest.mark.parametrize(
    ("family", "form"),
    [
        *itertools.product(SMALLEST, ["onnx", "python"]),
        *itertools.product(["nasnet", "enas-macro", "nasbench201"], ["torch-export"]),
    ],
)
@pytest.mark.slow
def test_every_family_is_exported(family: str, form: str, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    model = smallest(family)
    exported = export_model(model, form, tmp_path / "out")
    assert exported.images == 5
    assert exported.difference <= FORMS[form][1]
    assert sorted(exported.files) == sorted((tmp_path / "out").iterdir())


@pytest.mark.parametrize("family", ["nas", "nasnet", "enas-macro", "enas-micro"])
def test_whole_networks_are_written_as_python(family: str, tmp_path: Path) -> None:
    search_space: SearchSpace = FAMILIES[family].part("search_space")()
    architecture = search_space.decode(search_space.sample(np.random.default_rng(1)))
    model = tiny_model(architecture, seed=1, **SMALLEST[family])
    assert export_model(model, "python", tmp_path).difference <= 1e-6


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"format: expected onnx or .* got 'tflite'"):
        export_model(smallest("nas"), "tflite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_in_training_is_exported_for_inference_and_stays_as_it_is(tmp_path: Path) -> None:
    model = smallest("nasbench201").train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    assert export_model(model, "python", tmp_path).difference <= 1e-6
    assert model.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


def test_the_written_python_computes_the_same_bits_as_a_model_that_was_loaded(
    tmp_path: Path,
) -> None:
    model = smallest("enas-micro")
    model.to(memory_format=torch.channels_last)  # as `load_model` does
    assert export_model(model, "python", tmp_path).difference == 0


def test_the_written_python_needs_torch_alone(tmp_path: Path) -> None:
    model = smallest("nasnet")
    export_model(model, "python", tmp_path)
    names = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse((tmp_path / "model.py").read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert names == {"__future__", "json", "pathlib", "torch", "torch.nn"}
    torch.save(images(3) / 255, tmp_path / "images.pt")
    code = (
        "import sys, torch, model; x = torch.load('images.pt'); network = model.load();"
        "print(model.CLASSES, network(x).softmax(1).tolist());"
        "assert not any(name.startswith(('nas_', 'safetensors')) for name in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    classes, rows = result.stdout.split(") ", 1)
    assert ast.literal_eval(classes + ")") == model.classes
    torch.testing.assert_close(
        torch.tensor(json.loads(rows)), model.predict(images(3)).probabilities
    )


def test_blocks_that_differ_in_sizes_share_a_class() -> None:
    model = smallest("nasbench201")  # 1 cell in each of three stacks, 2 residual blocks
    source, _ = write_python(plain(model), "x")
    assert source.count("class GraphCell(") == source.count("class ResidualBlock(") == 1
    assert "self.layers_2 = GraphCell(" in source


def test_what_is_no_code_stays_none(tmp_path: Path) -> None:
    """Names of classes are a stranger's."""
    model = smallest("nasbench201")
    bad = ('"""', "\\", "\n\u2028import os", "{x}")
    object.__setattr__(model.facts, "classes", bad)
    heading = "a\rimport os\x0bimport os\nb"
    source, _ = write_python(plain(model), heading)
    space: dict[str, object] = {"__file__": str(tmp_path / "x.py")}
    exec(compile(source, "x", "exec"), space)
    assert space["CLASSES"] == bad
    assert "os" not in space


class _Halved(nn.Conv2d):
    """No convolution, though it is called one."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return super().forward(input) / 2


class _Sized(nn.Module):
    """Decides by what no shape says."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "says"),
    [(_Halved(4, 4, 1), "logits differ by"), (_Sized(), "this network cannot be traced")],
)
def test_what_would_be_exported_wrongly_is_refused(
    module: nn.Module, says: str, tmp_path: Path
) -> None:
    model = smallest("nasbench201")
    layers = model.network.get_submodule("layers")
    assert isinstance(layers, nn.Sequential)
    layers[0] = nn.Sequential(layers[0], module)
    with pytest.raises(InvalidSettings, match=says):
        export_model(model, "python", tmp_path)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_model(smallest("nasbench201"), tmp_path / "model")
    command = ["export", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    result = nas_gym(*command, "--format", "python", "--json")
    (record,) = json.loads(result.stdout)
    assert record["files"] == [
        str(tmp_path / "out" / f"model.{end}") for end in ("py", "safetensors")
    ]
    assert record["images"] == 5
    result = nas_gym(*command, "--format", "onyx")
    assert (result.exit_code, "did you mean 'onnx'" in result.stderr) == (2, True)
    (tmp_path / "file").touch()
    result = nas_gym(*command[:3], tmp_path / "file", "--format", "python")
    assert (result.exit_code, "out:" in result.stderr) == (2, True)
