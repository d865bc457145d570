"""`write_python`: the source of a module that computes what a model does."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from nas_gym.errors import InvalidSettings
from nas_gym.models.model import Model
from nas_gym.models.python_code.block import Writer, attribute
from nas_gym.models.python_code.classes import class_source, classes_of
from nas_gym.models.tracing import trace


def write_python(model: Model, heading: str) -> tuple[str, dict[str, Tensor]]:
    """Return the source of a module that computes what a plain model does, and its weights.

    Args:
        model: A model as `nas_gym.models.plain.plain` makes it.
        heading: Content of the comment at the top.

    Raises:
        InvalidSettings: the network computes something that cannot be written.
    """
    images = model.image_shape.batch(2, torch.device("cpu"))
    try:
        blocks = trace(model, images)
    except (TypeError, RuntimeError, fx.proxy.TraceError) as error:
        says = f"format: this network cannot be traced, so it is not written as Python: {error}"
        raise InvalidSettings(f"{says}; take --format torch-export") from error
    root = Writer(blocks[""], blocks).written()
    written = {path: Writer(each, {}).written() for path, each in blocks.items() if path}
    classes, calls = classes_of(written)
    root.layers = [calls.get(line, line) for line in root.layers]
    names = dict(root.tensors)
    for path, each in written.items():
        names |= {f"{attribute(path)}.{ours}": f"{path}.{n}" for ours, n in each.tensors.items()}
    state = model.state_dict()
    source = _TEMPLATE.format(
        comment="\n".join(f"# {line}".rstrip() for line in heading.splitlines()),
        image=", ".join(["B", *map(str, images.shape[1:])]),
        number=len(model.classes),
        classes="".join(f"    {name!r},\n" for name in model.classes),
        blocks="".join(f"{each}\n\n" for each in classes),
        network=class_source("Network", "The whole network.", [], root),
    )
    return source, {ours: state[name] for ours, name in names.items()}


_TEMPLATE = '''{comment}
"""A trained network. Images ({image}), float in [0, 1], in; logits (B, {number}) out.

    network = load()  # with the weights in the file beside this one
    probabilities = network(images).softmax(dim=1)

The class of column k is CLASSES[k]. It needs torch alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: F401

CLASSES = (
{classes})


{blocks}{network}

def load(weights: str | Path = Path(__file__).with_suffix(".safetensors")) -> Network:
    """Return the network in evaluation mode, with the weights of a safetensors file."""
    network = Network()
    network.load_state_dict(read_safetensors(weights))
    return network.eval()


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name: eight bytes give the header's size, and the header where each is."""
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    types = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, end = (start + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(bytearray(content[first:end]), dtype=types[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors
'''
