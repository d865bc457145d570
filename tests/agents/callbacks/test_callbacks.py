"""What other programs are shown of a search; all of it offline."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas_agents.callbacks import MLflow, TensorBoard, WandB, made
from nas_agents.catalogue.agents import MULTI_OBJECTIVE
from nas_agents.catalogue.registry import AGENTS
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.run import search
from nas_gym import InvalidSettings
from tests.agents.command import nas_gym
from tests.agents.stubs import STUB_ID

SCALARS = {"search/reward", "search/accuracy", "search/best_accuracy", "search/last_10_accuracy"}
RECORDED = "nas_gym/TinyBench-v0"


def logged(folder: Path) -> Any:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return accumulators.EventAccumulator(str(folder), {"scalars": 0, "images": 0}).Reload()


def watched(tmp_path: Path, callback: Callback, env: str = RECORDED) -> tuple[list[float], Path]:
    """The accuracies of a search that was watched, and its folder."""
    settings = SearchSettings(env, "random", 25, final=False, finalists=0)
    seen: list[float] = []

    class Seen(Callback):
        def on_child(self, child: Any) -> None:
            seen.append(child.evaluation.accuracy)

    result = search(settings, tmp_path / "run", callbacks=[callback, Seen()])
    return seen, result.run


def test_tensorboard_has_scalars_random_search_drawings_and_choices(tmp_path: Path) -> None:
    accuracies, run = watched(tmp_path, TensorBoard())
    log = logged(run / "tensorboard")
    tags = set(log.Tags()["scalars"])
    assert tags >= SCALARS | {f"random/{name}" for name in ("mean", "low", "high")}
    assert [each.value for each in log.Scalars("search/accuracy")] == pytest.approx(accuracies)
    last = [sum(accuracies[max(0, n - 10) : n]) / min(n, 10) for n in range(1, 26)]
    assert [e.value for e in log.Scalars("search/last_10_accuracy")] == pytest.approx(last)
    best = [max(accuracies[:n]) for n in range(1, 26)]
    assert [each.value for each in log.Scalars("search/best_accuracy")] == pytest.approx(best)
    new = [n for n in range(1, 26) if n == 1 or best[n - 1] > best[n - 2]]
    assert [image.step for image in log.Images("best")] == new
    [text, *_] = log.Tensors("best/text_summary")[0].tensor_proto.string_val
    lines = text.decode().splitlines()
    assert len(lines) > 1
    assert all(line.startswith("    ") for line in lines)  # code, in Markdown

    shares = [name for name in tags if name.startswith("choices/edge_3_-2/")]
    assert len(shares) == 5
    assert sum(log.Scalars(name)[-1].value for name in shares) == pytest.approx(1)
    assert [each.step for each in log.Scalars(shares[0])] == [10, 20]


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_has_the_same_scalars(agent: str, tmp_path: Path) -> None:
    entry, arguments, env = AGENTS[agent], {}, STUB_ID
    if agent in MULTI_OBJECTIVE:
        env = "nas_gym/MO-TinyBench-v0"
    if entry.env_arguments:  # weights that children share
        env, arguments = "nas_gym/ENASMacro-v0", {"layers": 1, "filters": 2, "batch_size": 1500}
    own = {"eta": 2} if agent == "asha" else {}
    if own:  # a table of two epochs
        env = "nas_gym/TinyBench-v0"
    several = 8 if own else 2  # until the first full training
    settings = SearchSettings(env, agent, several, final=False, finalists=0)
    settings = replace(settings, env_arguments=arguments, agent_arguments=own)
    search(settings, tmp_path / "run", callbacks=[TensorBoard()])
    log = logged(tmp_path / "run" / "tensorboard")
    assert set(log.Tags()["scalars"]) >= SCALARS
    steps = [each.step for each in log.Scalars("search/accuracy")]
    assert steps == list(range(1, several + 1))
    assert log.Images("best")


def test_mlflow_has_the_same_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    accuracies, run = watched(tmp_path, MLflow(), STUB_ID)
    client = mlflow.MlflowClient()
    (found,) = client.search_runs(["0"])
    assert (found.info.run_name, found.info.status) == (run.name, "FINISHED")
    assert found.data.params["agent"] == "random"
    assert set(found.data.metrics) >= SCALARS
    history = client.get_metric_history(found.info.run_id, "search/accuracy")
    assert [(each.step, each.value) for each in history] == list(enumerate(accuracies, 1))
    names = {each.path for each in client.list_artifacts(found.info.run_id)}
    assert names == {"settings.json", "summary.json", "best.json", "best.png"}


def test_a_search_that_fails_leaves_no_mlflow_run_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    settings = SearchSettings(STUB_ID, "random", 3, final=False, finalists=0)

    class Fails(Callback):
        def on_child(self, child: Any) -> None:
            raise RuntimeError("no more")

    board = TensorBoard()
    with pytest.raises(RuntimeError, match="no more"):
        search(settings, tmp_path / "first", callbacks=[MLflow(), board, Fails()])
    assert mlflow.active_run() is None
    assert board.writer is not None
    assert board.writer.all_writers is None  # it is closed
    search(settings, tmp_path / "second", callbacks=[MLflow()])
    found = mlflow.MlflowClient().search_runs(["0"])
    assert {each.info.run_name: each.info.status for each in found} == {
        **{"first": "FAILED", "second": "FINISHED"}
    }


def test_weights_and_biases_work_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    kept: dict[str, Any] = {}

    class Kept(WandB):
        def on_end(self, result: SearchResult) -> None:
            kept.update({name: self.run.summary[name] for name in SCALARS})
            super().on_end(result)

    accuracies, _ = watched(tmp_path, Kept(mode="offline", dir=str(tmp_path)), STUB_ID)
    assert kept["search/accuracy"] == accuracies[-1]
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_a_search_that_fails_ends_its_run_at_weights_and_biases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []

    class Run:
        log = staticmethod(lambda values, step: None)

        def finish(self, exit_code: int) -> None:
            codes.append(exit_code)

    class Fails(Callback):
        def on_child(self, child: Any) -> None:
            raise RuntimeError("no more")

    stub = SimpleNamespace(init=lambda **_: Run(), Image=lambda image: image)
    monkeypatch.setitem(sys.modules, "wandb", stub)
    settings = SearchSettings(STUB_ID, "random", 3, final=False, finalists=0)
    with pytest.raises(RuntimeError, match="no more"):
        search(settings, tmp_path / "run", callbacks=[WandB(), Fails()])
    assert codes == [1]


def test_a_callback_of_ones_own_is_named_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("watching.py").write_text(
        "from nas_agents.runs.callbacks import Callback\n"
        "class Count(Callback):\n"
        "    def on_end(self, result): result.run.with_name('seen').touch()\n"
    )
    arguments = ["search", RECORDED, "--agent", "random", "--episodes", "3", "--run", "run"]
    result = nas_gym(*arguments, "--callback", "watching:Count")
    assert result.exit_code == 0, result.output
    assert Path("seen").exists()
    assert set(logged(Path("run/tensorboard")).Tags()["scalars"]) >= SCALARS


@pytest.mark.parametrize(
    ("name", "says"),
    [("no_module:X", "cannot be imported"), ("json:dumps", "is no subclass of"),
     ("nas_agents.callbacks:Nothing", "has no 'Nothing'")],
)  # fmt: skip
def test_what_is_no_callback_is_refused(name: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        made(name)


@pytest.mark.parametrize(
    ("kind", "extra"), [(MLflow, "mlflow"), (TensorBoard, "tensorboard"), (WandB, "wandb")]
)
def test_an_extra_that_is_not_installed_is_named(
    kind: type[Callback], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, extra, None)  # as if it were not there
    says = rf"needs the package {extra}; pip install 'nas-gym\[{extra}\]'"
    with pytest.raises(InvalidSettings, match=says):
        made(f"{kind.__module__}:{kind.__name__}")


@pytest.mark.parametrize(
    ("kind", "extra", "says"),
    [(MLflow, "mlflow", "MLFLOW_TRACKING_URI"), (WandB, "wandb", "WANDB_MODE=offline")],
)
def test_what_does_not_start_says_why(
    kind: type[Callback], extra: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ArithmeticError("no key")

    stub = SimpleNamespace(
        active_run=lambda: None, start_run=refuse, end_run=lambda _: None, init=refuse,
        Error=ArithmeticError, exceptions=SimpleNamespace(MlflowException=ArithmeticError),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, extra, stub)
    settings = SearchSettings(STUB_ID, "random", 3, final=False, finalists=0)
    with pytest.raises(InvalidSettings, match=rf"does not start \(no key\); .*{says}"):
        search(settings, tmp_path / "run", callbacks=[kind()])
