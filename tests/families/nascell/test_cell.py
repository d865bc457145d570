"""NAS's recurrent cell computes what TensorFlow's released cell does, and what the paper says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from nas_gym.families.nascell.cell import COMBINATIONS, TreeCell, _split
from nas_gym.families.nascell.published import NASCELL
from nas_gym.families.nascell.search_space import NASCellArchitecture, NASCellSearchSpace

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0))


def released_cell(
    x: Array, h: Array, c: Array, w: Array, u: Array, b: Array
) -> tuple[Array, Array]:
    """The definition of ``tf.contrib.rnn.NASCell``, line by line: the new output and state."""
    tanh = np.tanh
    i, m = np.split(x @ w, 8, axis=1), np.split(h @ u + b, 8, axis=1)
    l1_0, l1_1 = sigmoid(i[0] + m[0]), relu(i[1] + m[1])
    l1_2, l1_3 = sigmoid(i[2] + m[2]), relu(i[3] * m[3])
    l1_4, l1_5 = tanh(i[4] + m[4]), sigmoid(i[5] + m[5])
    l1_6, l1_7 = tanh(i[6] + m[6]), sigmoid(i[7] + m[7])
    l2_0, l2_1 = tanh(tanh(l1_0 * l1_1) + c), tanh(l1_2 + l1_3)
    l2_2, l2_3 = tanh(l1_4 * l1_5), sigmoid(l1_6 + l1_7)
    new_c = l2_0 * l2_1
    return tanh(new_c * tanh(l2_2 + l2_3)), new_c


def test_the_released_cell_computes_what_tensorflows_does() -> None:
    """To the last bits of a double, over five steps, with a bias and states that are not zero."""
    rng = np.random.default_rng(0)
    batch, inputs, units, steps = 3, 4, 6, 5
    w, u = rng.normal(size=(inputs, 8 * units)), rng.normal(size=(units, 8 * units))
    b, h, c = rng.normal(size=8 * units), *rng.normal(size=(2, batch, units))
    x = rng.normal(size=(steps, batch, inputs))
    cell = TreeCell(NASCELL, inputs, units, bias=True).double()
    weights = {"kernel": w, "recurrent_kernel": u, "bias": b}
    cell.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})
    outputs, state = cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    for step in range(steps):
        h, c = released_cell(x[step], h, c, w, u, b)
        np.testing.assert_allclose(outputs[step].detach(), h, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(state[1].detach(), c, rtol=1e-12, atol=1e-14)


def test_one_unit_by_hand() -> None:
    """With all weights 0.5, x = 1, h = 0.5, c = 0.25: every leaf has 0.5 and 0.25."""
    cell = TreeCell(NASCELL, 1, 1).double()
    for weight in cell.parameters():
        torch.nn.init.constant_(weight, 0.5)
    one = torch.ones(1, 1, dtype=torch.float64)
    output, (_, c) = cell(one[None], (0.5 * one, 0.25 * one))
    # Leaves: sigmoid(.75) = .679178699, tanh(.75) = .635148952, relu(.75), relu(.5 * .25).
    # l2_0 = tanh(tanh(.509384024) + .25) = .616577878, l2_1 = tanh(.679178699 + .125) = .666366416,
    # l2_2 = tanh(.635148952 * .679178699) = .406473648, l2_3 = sigmoid(1.31432765) = .788236428
    assert round(c.item(), 9) == 0.410866790
    assert round(output.item(), 9) == 0.329132558


def test_the_papers_example_of_base_two() -> None:
    """Section 3.4: a_0 = relu(tanh(W x + U h) + c), c_t = W x * U h, h_t = sigmoid(a_0 * a_1)."""
    nodes = (("add", "tanh"), ("elem_mult", "relu"), ("elem_mult", "sigmoid"))
    cell = TreeCell(NASCellArchitecture(nodes, ("add", "relu"), (1, 0)), 2, 3).double()
    x, h, c = torch.randn(1, 2, 2).double(), *torch.randn(2, 2, 3).double()
    w, u = (weight.detach().split(3, 1) for weight in (cell.kernel, cell.recurrent_kernel))
    a0 = torch.relu(torch.tanh(x[0] @ w[0] + h @ u[0]) + c)
    c_new = (x[0] @ w[1]) * (h @ u[1])
    outputs, (h_new, c_found) = cell(x, (h, c))
    torch.testing.assert_close(c_found, c_new)
    torch.testing.assert_close(h_new, torch.sigmoid(a0 * torch.relu(c_new)))
    torch.testing.assert_close(outputs[0], h_new)


def test_parameters_are_eight_n_times_inputs_and_n() -> None:
    cell = TreeCell(NASCELL, 5, 7)
    assert sum(weight.numel() for weight in cell.parameters()) == 8 * 7 * (5 + 7)


def test_a_cell_and_its_canonical_form_compute_the_same() -> None:
    """With the leaves' weights moved along, h and c agree; every weight has a gradient."""
    leaves = (("add", "tanh"), ("add", "relu"), ("max", "sin"), ("add", "tanh"))
    others = (("add", "sigmoid"), ("elem_mult", "identity"), ("add", "tanh"))
    design = NASCellArchitecture((*leaves, *others), ("max", "sigmoid"), (2, 4))
    canonical = design.canonical()
    moved = [leaves.index(node) for node in canonical.nodes[:4]]  # of equal leaves, the first
    cell, other = TreeCell(design, 2, 3).double(), TreeCell(canonical, 2, 3).double()
    for one, two in zip(cell.parameters(), other.parameters(), strict=True):
        parts = one.detach().split(3, 1)
        same = [parts[0], parts[1], parts[2], parts[0]]  # leaves 0 and 3 are alike: same weights
        one.data = torch.cat(same, 1)
        two.data = torch.cat([same[leaf] for leaf in moved], 1)
    x = torch.randn(4, 2, 2).double()
    outputs, (_, c) = cell(x)
    same_outputs, (_, c_other) = other(x)
    torch.testing.assert_close(outputs, same_outputs)
    torch.testing.assert_close(c, c_other)
    (outputs.sum() + c.sum()).backward()
    for weight in cell.parameters():
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("base", "bias"), [(2, True), (4, False)])
def test_gradients_are_those_of_its_values(base: int, bias: bool, seed: int) -> None:
    """Of random cells of all functions, over three steps, with a mask; by finite differences."""
    space = NASCellSearchSpace(base, more_functions=True)  # type: ignore[arg-type]
    design = space.decode(space.sample(np.random.default_rng(seed)))
    cell = TreeCell(design, 2, 2, bias).double()
    names, weights = zip(*cell.named_parameters(), strict=True)
    mask = torch.tensor([[2.0, 0.0], [2.0, 2.0]]).double()

    def computed(x: Tensor, h: Tensor, c: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        parameters = dict(zip(names, given, strict=True))
        outputs, (_, c) = torch.func.functional_call(cell, parameters, (x, (h, c), mask))
        return outputs, c

    given = (torch.randn(3, 2, 2), *torch.randn(2, 2, 2), *(torch.randn(w.shape) for w in weights))
    assert torch.autograd.gradcheck(computed, [each.double().requires_grad_() for each in given])


def test_at_a_maximum_of_equals_gradients_are_halved() -> None:
    nodes = (("max", "identity"),) * 2 + (("add", "identity"),)
    cell = TreeCell(NASCellArchitecture(nodes, ("add", "identity"), (2, 2)), 1, 1)
    for weight in cell.parameters():
        torch.nn.init.ones_(weight)
    x = torch.ones(1, 1, 1, requires_grad=True)
    outputs, _ = cell(x, (torch.ones(1, 1), torch.ones(1, 1)))  # max(x, h) + max(x, h) + c
    outputs.sum().backward()
    assert (outputs.item(), x.grad.item()) == (3.0, 1.0)  # type: ignore[union-attr]


def test_gradients_on_a_gpu_need_nothing_of_the_cpu() -> None:
    """Python would wait for the GPU to have it copied, in every step of a sequence."""
    devices: set[str] = set()

    class Noted(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            made = func(*args, **(kwargs or {}))
            devices.update(each.device.type for each in (*args, made) if isinstance(each, Tensor))
            return made

    with FakeTensorMode():
        given = [torch.empty(2, 3, device="cuda") for _ in range(3)]
        with Noted():  # type: ignore[no-untyped-call]
            for combination in COMBINATIONS:
                _split(combination, *given)
    assert devices == {"cuda"}
