"""The report's page: what it holds, what it refuses, and that a browser shows it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas_agents.report import Report, figures, heat_maps, page, write_report
from nas_agents.report.children import band_of, read_runs
from nas_agents.report.worst_images import worst_images
from nas_agents.runs.callbacks import Child
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import InvalidSettings, load_dataset
from tests.agents.stubs import STUB_ID, Calls

pytest.importorskip("bokeh")
from bokeh.models import LinearScale, LogScale, Scatter

from tests.agents.command import nas_gym

EVIL = "</script><script>window.evil=1</script><b>x</b>"
POINTS = """() => {
    scrollTo(0, 0)
    const view = [...Bokeh.index].find(each => each.model.type == "Figure")
    return [...Array(9).keys()].map(n => {
        const source = view.model.renderers.find(each => each.name == "children_0").data_source
        const box = view.canvas_view.el.getBoundingClientRect()
        return [box.x + view.frame.x_scale.compute(source.get_array("number")[n]),
                box.y + view.frame.y_scale.compute(source.get_array("accuracy")[n])]
    })
}"""
RECORDED = "nas_gym/TinyBench-v0"


class Parsed(HTMLParser):
    """A page's tags with their attributes, the text of its table, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str, **having: str) -> int:
        return sum(t == tag and having.items() <= a.items() for t, a in self.tags)

    @property
    def loaded(self) -> list[str]:
        places = [a.get(name) for _, a in self.tags for name in ("src", "href")]
        return [place for place in places if place and not place.startswith("data:")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in a table, with updates; it is not to be changed."""
    folder = tmp_path_factory.mktemp("report") / "one"
    settings = SearchSettings(RECORDED, "reinforce", 60, finalists=0)
    search(settings, folder, callbacks=[Report()])
    return folder


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copied"))


def page_of(*runs: Path) -> str:
    file = runs[0] / "report.html"
    write_report(runs, file)
    return file.read_text()


def test_a_search_leaves_a_page_that_loads_nothing(run: Path) -> None:
    page = (run / "report.html").read_text()
    parsed = Parsed(page)
    assert parsed.loaded == []
    assert len(page) < 6_000_000
    different = len({line["architecture"] for line in lines_of(run)})
    assert parsed.count("img") == min(20, different)
    for words in ("Accuracy over evaluations", "Learning of the agent", "What matters"):
        assert words in page
    assert "random search, from the table of all networks" in page
    assert "of the policy" in page  # its entropy, which is logged


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]


def test_runs_stand_beside_each_other(run: Path, tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, "random", 30, final=False)
    search(settings, tmp_path / "random")
    search(SearchSettings(STUB_ID, "local-search", 30, final=False), tmp_path / "local")
    page = page_of(tmp_path / "local", tmp_path / "random")
    assert "random search, drawn from 30 random children" in page
    assert page.count("<h2>What was chosen: ") == 2
    assert page.count("of the last 7 children") >= 2  # without updates, the choices' entropy


def test_runs_in_several_environments_have_no_band(run: Path, tmp_path: Path) -> None:
    search(SearchSettings(STUB_ID, "random", 3, final=False), tmp_path / "other")
    one, other = read_runs([run, tmp_path / "other"])
    assert band_of([one]) is not None
    assert band_of([other]) is not None
    assert band_of([one, other]) is None


def test_the_band_is_as_long_as_the_longest_run(run: Path, tmp_path: Path) -> None:
    search(SearchSettings(RECORDED, "random", 20), tmp_path / "short")
    for order in ([run, tmp_path / "short"], [tmp_path / "short", run]):
        band = band_of(read_runs(order))
        assert band is not None
        assert band[0].evaluations[-1] == 60


def test_what_an_agent_needs_is_part_of_the_environment(run: Path, tmp_path: Path) -> None:
    """ENAS's children share weights, and are no others' equals."""
    for name, agent in {"shared": "enas", "random": "random"}.items():
        settings = json.loads((run / "settings.json").read_text()) | {"chosen_agent": agent}
        (shutil.copytree(run, tmp_path / name) / "settings.json").write_text(json.dumps(settings))
        (tmp_path / name / "summary.json").unlink()
    shared, random = read_runs([tmp_path / "shared", tmp_path / "random"])
    assert band_of([random]) is not None
    assert band_of([shared, random]) is None


def test_children_are_no_evaluations_where_repeats_are_free(tmp_path: Path) -> None:
    few = SearchSettings(RECORDED, "ppo", None, evaluations=12, final=False)
    search(few, tmp_path / "run")
    [run] = read_runs([tmp_path / "run"])
    _, entropies = figures.learning_figure([run]).children
    assert (entropies.xaxis.axis_label, run.evaluations[-1]) == ("children", len(run.lines))
    assert figures.accuracy_figure([run], None).xaxis.axis_label == "evaluations"
    assert heat_maps.preferences_figure(run).xaxis.axis_label == "children"


def test_an_interrupted_search_does_not_wait_for_its_report(tmp_path: Path) -> None:
    def interrupt(child: Child) -> None:
        raise KeyboardInterrupt

    report = Report()
    settings, run = SearchSettings(STUB_ID, "random", 3, final=False), tmp_path / "my run"
    search(settings, run, callbacks=[Calls(on_child=interrupt), report])
    assert report.said == f"no report yet: nas-gym report '{run}' writes it"
    assert not (run / "report.html").exists()


def test_what_a_folder_says_is_no_markup(copied: Path) -> None:
    settings = json.loads((copied / "settings.json").read_text())
    names = list(settings["decisions"])
    settings["decisions"] = {EVIL: settings["decisions"][names[0]]} | {
        name: [EVIL, *settings["decisions"][name][1:]] for name in names[1:]
    }
    settings |= {"env_arguments": {"evil": EVIL}, "chosen_agent": EVIL}
    (copied / "settings.json").write_text(json.dumps(settings))
    failed = {"status": "crashed", "message": EVIL, "accuracy": 0.0, "metric": "accuracy"}
    changed = [{**line, **(failed if n % 2 else {})} for n, line in enumerate(lines_of(copied))]
    (copied / "episodes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in changed))
    summary = json.loads((copied / "summary.json").read_text())
    confusion = {"confusion": [[3, 1], [0, 4]], "note": EVIL}
    final = {"test_accuracy": 0.5, "class_accuracies": {EVIL: 0.25}, "majority": 0.5}
    final["parameters"] = 1
    final |= {"epochs": 1, "seconds": 1.0, "metric": "accuracy", "test_value": None, **confusion}
    (copied / "summary.json").write_text(json.dumps({**summary, "final": final}))
    page = page_of(copied.rename(copied.with_name("<i>x")))
    assert "<script>window.evil" not in page
    assert Parsed(page).count("b") == Parsed(page).count("i") == 0
    assert "Failed: 30 crashed" in page
    assert "<td>always the most frequent class</td><td>50.00%</td>" in page
    assert "</td><td>25.00%</td>" in page  # of a class
    assert "Confusion matrix" in page


def test_children_have_their_numbers_among_those_that_were_trained_in_part(copied: Path) -> None:
    lines = [line | {"partial": number % 2 == 0} for number, line in enumerate(lines_of(copied))]
    (copied / "episodes.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    [run] = read_runs([copied])
    assert run.numbers.tolist() == list(range(2, 61, 2))
    assert run.evaluations[-1] == 60
    for row in page._best([run]):
        assert lines[row["number"] - 1]["accuracy"] == row["accuracy"]
    drawn = figures.accuracy_figure([run], None)
    [points] = drawn.select(name="children_0")
    assert points.data_source.data["number"].tolist() == run.numbers.tolist()
    assert figures._rewards(run)[0][-1] == 60


def test_few_children_have_the_mean_reward_of_all_so_far() -> None:
    numbers = {"moments": [1, 2, 3], "evaluations": [1, 2, 3]}
    run: Any = SimpleNamespace(updates=[], rewards=np.array([0.5, 1.0, 0.0]), **numbers)
    assert figures._rewards(run) == ([1, 2, 3], ("last 10 children", [0.5, 0.75, 0.5]))


def test_a_single_update_is_a_point(copied: Path) -> None:
    first = (copied / "updates.jsonl").read_text().splitlines(keepends=True)[0]
    (copied / "updates.jsonl").write_text(first)
    for drawn in figures.learning_figure(read_runs([copied])).children:
        line, points = drawn.renderers
        assert isinstance(points.glyph, Scatter)
        assert points.data_source.data["x"] == line.data_source.data["x"]
        assert len(points.data_source.data["x"]) == 1


@pytest.mark.parametrize("evaluations", [[5], [5, 7, 10, 12]])
def test_columns_of_a_heat_map_leave_no_gap(evaluations: list[int]) -> None:
    run: Any = SimpleNamespace(evaluations=evaluations)
    columns = heat_maps._columns(run)
    sides = [
        (x - width / 2, x + width / 2)
        for x, width in zip(columns["x"], columns["width"], strict=True)
    ]
    assert [right for _, right in sides] == evaluations
    assert [left for left, _ in sides[1:]] == evaluations[:-1]


def changed(run: Path, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> None:
    """Change the lines of a run's children."""
    lines = [{**line, **change(number, line)} for number, line in enumerate(lines_of(run))]
    (run / "episodes.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_cost_of_0_is_drawn_and_one_that_is_not_recorded_is_not(copied: Path) -> None:
    [run] = read_runs([copied])
    drawn = figures.cost_figures([run])["multiply_adds"]
    assert isinstance(drawn.x_scale, LogScale)
    changed(copied, lambda n, line: {"multiply_adds": (0, None)[n]} if n < 2 else {})
    [run] = read_runs([copied])
    drawn = figures.cost_figures([run])["multiply_adds"]
    assert isinstance(drawn.x_scale, LinearScale)
    points = drawn.renderers[0].data_source.data
    assert points["number"].tolist() == [1, *range(3, 61)]
    assert points["x"][0] == 0


@pytest.mark.parametrize(("bad", "cut"), [(1, True), (20, False)])
def test_an_axis_starts_above_a_few_bad_children(bad: int, cut: bool, copied: Path) -> None:
    changed(copied, lambda n, line: {"accuracy": 0.01} if 5 <= n < 5 + bad else {})
    assert ("Triangles are children below the axis" in page_of(copied)) == cut
    runs = read_runs([copied])
    accuracy, cost = figures.accuracy_figure(runs, None), figures.cost_figures(runs)["parameters"]
    for drawn in (accuracy, cost):
        triangles = [
            each
            for each in drawn.renderers
            if getattr(each.glyph, "marker", None) == "inverted_triangle"
        ]
        assert [5 in each.view.filter.indices for each in triangles] == [True] * cut
        assert (drawn.y_range.start > 0.3) == cut


def test_children_that_failed_have_no_best_one_and_no_costs(copied: Path) -> None:
    changed(copied, lambda n, line: {"status": "crashed", "accuracy": 0.0})
    text = page_of(copied)
    assert "Best architectures" not in text
    assert "Accuracy against cost" not in text


def test_children_that_fail_in_a_part_of_their_training_count(copied: Path) -> None:
    part = {"partial": True, "epochs": 1, "status": "crashed", "message": "too small"}
    changed(copied, lambda n, line: part if n < 2 else {})
    text = page_of(copied)
    assert "60 children, 58 of them trained to the end." in text
    assert "Failed: 2 crashed." in text


def test_another_metric_is_named_once(copied: Path) -> None:
    changed(copied, lambda n, line: {"metric": "perplexity", "value": 1 / line["accuracy"]})
    summary = json.loads((copied / "summary.json").read_text())
    summary["best"]["validation_accuracy"] = summary["test_accuracy"] = 0.0125
    (copied / "summary.json").write_text(json.dumps(summary))
    text = page_of(copied)
    assert "Best architecture: validation 80 perplexity;\ntest 80 perplexity." in text
    assert 'aria-sort="descending">perplexity</th>' in text
    final = {"test_accuracy": 0.02, "majority": 0.025, "metric": "perplexity", "test_value": 50.0}
    assert page._measured(final) == [
        ("by the frequencies of words alone", "40 perplexity"),
        ("test perplexity", "50"),
    ]


def test_costs_and_large_numbers_read_as_people_write_them(run: Path) -> None:
    assert "<th data-sort>multiply-adds</th>" in (run / "report.html").read_text()
    assert figures.cost_figures(read_runs([run]))["multiply_adds"].xaxis.axis_label == (
        "multiply-adds"
    )
    assert page._quantity(123456.7) == "123,457"


def test_the_best_architectures_are_in_the_order_of_a_reward_that_weighs_a_cost(
    copied: Path,
) -> None:
    accuracies = [row["accuracy"] for row in page._best(read_runs([copied]))]
    assert accuracies == sorted(accuracies, reverse=True)
    assert '<th data-sort aria-sort="descending">accuracy</th>' in page_of(copied)
    changed(copied, lambda n, line: {"reward": line["accuracy"] - line["parameters"] / 1e3})
    rows = page._best(read_runs([copied]))
    rewards = [row["line"]["reward"] for row in rows]
    assert rewards == sorted(rewards, reverse=True)
    assert [row["accuracy"] for row in rows] != accuracies
    text = page_of(copied)
    assert '<th data-sort aria-sort="descending">reward</th>' in text
    assert f'<td data-value="{rewards[0]}">' in text


def test_a_search_under_way_and_one_without_children(copied: Path) -> None:
    summary = json.loads((copied / "summary.json").read_text())
    (copied / "summary.json").write_text(json.dumps({**summary, "episodes": 40}))
    assert "The search has not ended yet" in page_of(copied)  # it went on
    (copied / "summary.json").unlink()
    (copied / "updates.jsonl").unlink()
    assert "The search has not ended yet" in page_of(copied)
    (copied / "episodes.jsonl").write_text("")
    assert "No child was evaluated" in page_of(copied)


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("episodes.jsonl", {"choices": [9] * 6}, "line 2 of .* has no 6 valid 'choices'"),
        ("episodes.jsonl", {"choices": [0]}, "line 2 of .* has no 6 valid 'choices'"),
        ("episodes.jsonl", {"architecture": "x"}, "line 2 of .* has no architecture"),
        ("episodes.jsonl", {"parameters": 10**90}, "line 2 of .* beyond 1e.30 for 'parameters'"),
        ("updates.jsonl", {"logs": {"x": "y"}}, "line 2 of .* has logs that are no numbers"),
        ("updates.jsonl", {"reward": None}, "line 2 of .* has None for 'reward'"),
        ("settings.json", {"decisions": {"x": []}}, "has no 'decisions'"),
        ("summary.json", {"random_band": {"mean": []}}, "has no numbers for 'random_band'"),
    ],
)
def test_what_is_broken_is_named(
    file: str, change: dict[str, Any], says: str, copied: Path
) -> None:
    lines = (copied / file).read_text()
    if file.endswith("jsonl"):
        first, second, *others = lines.splitlines()
        broken = {**json.loads(second), "accuracy": 0.99, "reward": 0.99, **change}
        text = "\n".join([first, json.dumps(broken), *others, ""])
    else:
        text = json.dumps({**json.loads(lines), **change})
    (copied / file).write_text(text)
    with pytest.raises(InvalidRunFolder, match=says):
        page_of(copied)


def test_the_command(copied: Path) -> None:
    (copied / "report.html").unlink()
    said = nas_gym("report", copied, "--json")
    assert json.loads(said.stdout) == {"report": str(copied / "report.html")}
    assert (copied / "report.html").is_file()
    nothing = nas_gym("report", copied.parent)
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (2, 1)
    with pytest.raises(InvalidSettings, match="name at least one"):
        write_report([], copied / "x.html")


def test_the_worst_images_are_wrong_answers_of_the_final_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "batch_size": 500}
    settings = SearchSettings(
        "nas_gym/NASNet-v0", "random", 1, env_arguments=tiny, final_arguments={"epochs": 1}
    )
    result = search(settings, tmp_path / "run", callbacks=[Report()])
    assert result.final is not None
    worst = json.loads((result.run / "worst_images.json").read_text())
    assert 0 < len(worst) <= 12
    sure = [each["probability"] for each in worst]
    assert sure == sorted(sure, reverse=True)
    confusion = np.array(result.final.confusion)
    digits = load_dataset("digits")
    by_class = replace(digits, test=digits.test[np.argsort(digits.labels[digits.test])])
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[worst_images.__module__], "JUDGED", 40)
        patch.delattr("torch.nn.Module.to")  # the network stays where it is
        judged = worst_images(result.final, by_class)
    assert len({each["class"] for each in judged}) > 3
    for each in worst:
        actual, predicted = int(each["class"]), int(each["predicted"])
        assert actual != predicted
        assert confusion[actual, predicted]
    page = (result.run / "report.html").read_text()
    assert Parsed(page).count("figure") == len(worst)
    other = replace(settings, final_arguments={"epochs": 2})
    search(other, result.run, resume=True, callbacks=[Report()])  # the final training alone
    assert json.loads((result.run / "worst_images.json").read_text()) != worst
    (result.run / "worst_images.json").write_text('[{"png": 3}]')
    with pytest.raises(InvalidRunFolder, match=r"worst_images.json has no 'class'"):
        page_of(result.run)


@pytest.mark.browser
def test_a_browser_shows_sorts_and_hovers(run: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    browser_file = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_file is None:
        pytest.skip("no chromium on the path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        wrong: list[str] = []
        page.on("console", lambda m: wrong.extend([m.text] * (m.type in ("error", "warning"))))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url))
        file = (run / "report.html").as_uri()
        page.goto(file)
        page.wait_for_function("document.body.dataset.drawn == 'all'")
        assert page.locator(".bk-Figure").count() >= 6

        heading = page.locator("#best th", has_text="parameters")
        place = page.locator("#best th").all_inner_texts().index(heading.inner_text())
        for direction in (-1, 1):  # the first click sorts from the largest
            heading.click()
            cells = page.locator(f"#best td:nth-child({place + 1})").all_inner_texts()
            numbers = [direction * int(cell.replace(",", "")) for cell in cells]
            assert numbers == sorted(numbers)

        points = page.evaluate(POINTS)  # where the children are, in pixels
        for x, y in points:
            page.mouse.move(x, y)
        tips = page.locator(".bk-tooltip-row-label")
        tips.first.wait_for(state="visible")
        assert any("accuracy" in each for each in tips.all_inner_texts())
        select = page.locator("select").first
        select.select_option(index=1)
        title = select.evaluate("node => node.value")
        assert title == list(json.loads((run / "settings.json").read_text())["decisions"])[1]
        browser.close()
    assert [each for each in wrong if each != file and not each.startswith("data:")] == []
