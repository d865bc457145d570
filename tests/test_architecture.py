"""`Architecture`: its JSON form, its files, and what is said about malformed ones."""

import copy
import hashlib
import json
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_gym import Architecture, InvalidArchitecture, NASGymError, published
from nas_gym.architecture import expect_fields, expect_length, published_architectures
from nas_gym.search_spaces.cells import ADD, Block, Cell, CellArchitecture
from nas_gym.search_spaces.chains import ChainArchitecture, MaxPooling
from tests.helpers import LayersArchitecture, nested, random_architecture

ABSENT = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """NASNet-A as JSON data, with ``value`` at the place that ``path`` names."""
    data = copy.deepcopy(published("NASNet-A").to_dict())
    *parents, last = [int(p) if p.isdigit() else p for p in re.findall(r"\w+", path)]
    target: Any = data
    for parent in parents:
        target = target[parent]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return data


POOLING = {"type": "max pooling", "inputs": []}
CONVOLUTION = {
    "type": "convolution",
    "filter_height": 3,
    "filter_width": 3,
    "stride_height": 1,
    "stride_width": 1,
    "number_of_filters": 8,
    "inputs": [],
}
MACRO = {"operation": "conv_3x3", "skips": []}
MOBILE = {
    "conv_op": "conv",
    "kernel_size": 3,
    "se_ratio": 0,
    "skip_op": "no skip",
    "filters": 8,
    "layers": 2,
    "stride": 1,
}
BLOCK = {"hidden1": 0, "hidden2": 0, "op1": "identity", "op2": "identity", "combine": ADD}


@pytest.mark.parametrize("name", published_architectures())
def test_published_architectures_survive_json(name: str) -> None:
    architecture = published(name)
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert Architecture.from_dict(architecture.to_dict()) == architecture


@pytest.mark.parametrize("seed", range(20))
def test_json_round_trip_keeps_value_hash_and_key(seed: int) -> None:
    architecture = random_architecture(seed)
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.key == architecture.key
    assert again.to_json() == architecture.to_json()


def test_lists_make_the_same_architectures_as_tuples() -> None:
    block: Any = [Block(0, 1, "identity", "identity", ADD)]
    cell = Cell(block, [2])  # type: ignore[arg-type]
    first, second = MaxPooling(), MaxPooling(inputs=[1])  # type: ignore[arg-type]
    for listed in (CellArchitecture(cell, cell), ChainArchitecture([first, second])):  # type: ignore[arg-type]
        again = Architecture.from_json(listed.to_json())
        assert (again, hash(again)) == (listed, hash(listed))
    with pytest.raises(InvalidArchitecture, match="concat: expected a list, got int"):
        Cell(block, 2)  # type: ignore[arg-type]


def test_json_is_one_line_that_names_version_and_kind() -> None:
    text = published("NASNet-A").to_json()
    assert "\n" not in text
    data = json.loads(text)
    assert (data["version"], data["kind"]) == (1, "cells")
    assert set(data) == {"version", "kind", "normal", "reduction"}


def test_json_of_another_order_of_fields_is_the_same_architecture() -> None:
    data = published("NASNet-A").to_dict()
    turned = json.dumps(dict(reversed(data.items())), indent=3)
    assert Architecture.from_json(turned) == published("NASNet-A")


def test_kind_selects_the_class() -> None:
    architecture = LayersArchitecture(("8", "16"))
    assert Architecture.from_json(architecture.to_json()) == architecture


def test_key_is_32_hexadecimal_digits_and_tells_cells_apart() -> None:
    first, second = published("NASNet-A"), published("AmoebaNet-A")
    assert re.fullmatch("[0-9a-f]{32}", first.key)
    assert first.key != second.key
    assert isinstance(first, CellArchitecture)
    assert CellArchitecture(first.reduction, first.normal).key != first.key


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", ABSENT, "version: expected 1, got None"),
        ("version", "1", "version: expected 1, got '1'"),
        ("version", True, "version: expected 1, got True"),
        ("version", 1.0, "version: expected 1, got 1.0"),
        ("version", 0, "version: expected 1, got 0"),
        ("version", 2, "version: 2 is newer .* upgrade nas_gym"),
        ("kind", ABSENT, "kind: None is not known; .*'cells'"),
        ("kind", "cell", "kind: 'cell' is not known; did you mean 'cells'?"),
        ("kind", ["cells"], r"kind: \['cells'\] is not known"),
        ("normal", ABSENT, "architecture: missing normal"),
        ("depth", 3, "architecture: unknown depth"),
        ("normal", [], "^normal.*expected an object, got list"),
        ("reduction", None, "^reduction.*expected an object, got NoneType"),
        ("normal.concat", ABSENT, "^normal.*missing concat"),
        ("normal.name", "x", "^normal.*unknown name"),
        ("normal.blocks", {}, r"^normal\.blocks: expected a list, got dict"),
        ("normal.blocks", "abc", r"^normal\.blocks: expected a list, got str"),
        ("normal.blocks", [], r"^normal\.blocks: expected at least one"),
        ("normal.blocks[1]", None, r"^normal\.blocks\[1\]: expected an object, got NoneType"),
        ("normal.blocks[1]", [0, 1], r"^normal\.blocks\[1\]: expected an object, got list"),
        ("normal.blocks[1].op1", ABSENT, r"^normal\.blocks\[1\]: missing op1"),
        ("normal.blocks[1].op3", "identity", r"^normal\.blocks\[1\]: unknown op3"),
        ("normal.blocks[1].hidden1", 3, r"^normal\.blocks\[1\]\.hidden1: 3 .* 0 to 2"),
        ("normal.blocks[0].hidden2", 2, r"^normal\.blocks\[0\]\.hidden2: 2 .* 0 to 1"),
        ("normal.blocks[1].hidden1", -1, r"^normal\.blocks\[1\]\.hidden1: -1 "),
        ("normal.blocks[1].hidden1", "0", r"^normal\.blocks\[1\]\.hidden1: '0' "),
        ("normal.blocks[1].hidden1", 1.0, r"^normal\.blocks\[1\]\.hidden1: 1\.0 "),
        ("normal.blocks[1].hidden1", True, r"^normal\.blocks\[1\]\.hidden1: True "),
        ("normal.blocks[1].hidden2", None, r"^normal\.blocks\[1\]\.hidden2: None "),
        ("normal.blocks[1].hidden2", [0], r"^normal\.blocks\[1\]\.hidden2: \[0\] "),
        (
            "reduction.blocks[4].op2",
            "3x3 max poling",
            r"^reduction\.blocks\[4\]\.op2: .* did you mean '3x3 max pooling'\?",
        ),
        ("reduction.blocks[4].op1", ["identity"], r"^reduction\.blocks\[4\]\.op1: "),
        ("reduction.blocks[4].op1", None, r"^reduction\.blocks\[4\]\.op1: None "),
        ("reduction.blocks[0].combine", "sum", r"^reduction\.blocks\[0\]\.combine: 'sum' "),
        ("normal.concat", 4, r"^normal\.concat: expected a list, got int"),
        ("normal.concat", [], r"^normal\.concat: .* at least one"),
        ("normal.concat[0]", 7, r"^normal\.concat: 7 is not a hidden state; .* 0 to 6"),
        ("normal.concat[0]", -1, r"^normal\.concat: -1 is not a hidden state"),
        ("normal.concat[0]", True, r"^normal\.concat: True is not a hidden state"),
        ("normal.concat[0]", [2], r"^normal\.concat: \[2\] is not a hidden state"),
        ("normal.concat[0]", 6, r"^normal\.concat: .* twice"),
        ("normal.concat", [2, 3], r"^normal\.concat: hidden state 4 \(blocks\[2\]\) is neither"),
    ],
)
def test_malformed_input_is_refused_by_place(path: str, value: object, message: str) -> None:
    data = changed(path, value)
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture.from_dict(data)
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture.from_json(json.dumps(data))


@pytest.mark.parametrize("data", [None, [], "cells", 3, [["version", 1]]])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(InvalidArchitecture, match="architecture: expected an object, got "):
        Architecture.from_dict(data)


@pytest.mark.parametrize(
    "text",
    ["", "{", "NASNet-A", "{'version': 1}", "\ufeff{}", "[" * 100_000, '{"version": 1} 2'],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidArchitecture, match="not JSON"):
        Architecture.from_json(text)


def test_a_number_too_long_for_python_is_refused() -> None:
    with pytest.raises(InvalidArchitecture, match="not JSON"):
        Architecture.from_json('{"version": ' + "1" * 5000 + "}")


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "kind": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"version": NaN}',
        '{"version": 1, "version": 1}',
        '{"version": 1, "kind": "' + "x" * 10**6 + '"}',
        '{"version": 1, "kind": "cells", "' + "x" * 10**6 + '": 1}',
        json.dumps(changed("normal.blocks[1].op1", "x" * 10**6)),
        json.dumps(changed("normal.blocks[1].hidden1", [[1] * 10**5])),
        json.dumps(changed("normal.concat", [2] * 10**6)),
        json.dumps(changed("normal.blocks", [{"hidden1": 0}] * 10**4)),
        b"\xff\xfe",
        None,
    ],
    ids=range(11),
)
def test_texts_from_outside_give_one_short_line(text: Any) -> None:
    with pytest.raises(InvalidArchitecture) as error:
        Architecture.from_json(text)
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "chain", "layers": [POOLING] * 257}, "layers: expected .* at most 256, got 257"),
        ({"kind": "enas_macro", "layers": [MACRO] * 257}, "layers: .* at most 256, got 257"),
        ({"kind": "mobile", "stem_filters": 65537, "blocks": [MOBILE]}, "stem_filters: .* 65,536"),
        (
            {"kind": "mobile", "stem_filters": 8, "blocks": [MOBILE] * 129},
            "in all: .* 256, got 258",
        ),
        ({"kind": "mobile", "stem_filters": 8, "blocks": [{**MOBILE, "layers": 10**6}]}, "256"),
        (changed("normal.blocks", [BLOCK] * 257), "normal.blocks: .* at most 256, got 257"),
        ({"kind": "chain", "layers": [{**CONVOLUTION, "filter_width": 1025}]}, "from 1 to 1,024"),
        ({"kind": "chain", "layers": [{**CONVOLUTION, "number_of_filters": 10**9}]}, "65,536"),
    ],
    ids=range(8),
)
def test_sizes_are_bounded(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture.from_dict({"version": 1, **data})


def test_every_error_is_a_nas_gym_error() -> None:
    with pytest.raises(NASGymError):
        Architecture.from_json("{}")


def test_an_architecture_is_validated_when_it_is_made() -> None:
    block = Block(0, 5, "identity", "identity", ADD)
    with pytest.raises(InvalidArchitecture, match=r"blocks\[0\]\.hidden2: 5"):
        Cell((block,), (2,))


def test_an_architecture_cannot_be_changed() -> None:
    architecture = random_architecture(0)
    with pytest.raises(AttributeError):
        architecture.normal = architecture.reduction  # type: ignore[misc]


@pytest.mark.parametrize("name", published_architectures())
def test_published_keys_stay_as_stores_hold_them(name: str) -> None:
    text = published(name).canonical().to_json()
    assert published(name).key == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NASNet-A", "766a5b678bd9017861360301295e46e3"),
        ("MnasNet-A1", "afefa2007151b5b3aec521d66999432c"),
        ("ENAS-macro", "debc6371c6b19da17415dab230a848d7"),
    ],
)
def test_keys_are_those_in_stores_that_exist(name: str, key: str) -> None:
    assert published(name).key == key


def test_keys_do_not_change_with_the_version_of_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    before = random_architecture(0).key
    monkeypatch.setattr("nas_gym.architecture.VERSION", 2)
    assert random_architecture(0).key == before
    assert random_architecture(0).to_dict()["version"] == 2


def test_a_key_is_computed_once_for_an_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = random_architecture(0)
    before = hash(architecture)
    calls: list[CellArchitecture] = []
    canonical = CellArchitecture.canonical

    def counted(each: CellArchitecture) -> CellArchitecture:
        calls.append(each)
        return canonical(each)

    monkeypatch.setattr(CellArchitecture, "canonical", counted)
    assert architecture.key == architecture.key
    assert len(calls) == 1
    assert architecture == random_architecture(0)
    assert hash(architecture) == before
    again = pickle.loads(pickle.dumps(architecture))
    assert again == architecture
    assert again.key == architecture.key
    turned = replace(architecture, normal=architecture.reduction)
    assert turned.key == CellArchitecture(architecture.reduction, architecture.reduction).key
    assert turned.key != architecture.key


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidArchitecture, match="pipe: cannot be read: it is not a regular file"):
        Architecture.load(tmp_path / "pipe")


def test_a_name_too_long_for_a_file_is_refused() -> None:
    with pytest.raises(
        InvalidArchitecture, match=r"^x{100}\.\.\.x{100}: cannot be read: File name"
    ):
        Architecture.load("x" * 5000)


def test_lists_are_no_names() -> None:
    with pytest.raises(InvalidArchitecture, match=r"^\[\[.* cannot be read: expected str"):
        Architecture.load(nested(3_000))  # type: ignore[arg-type]
    with pytest.raises(InvalidArchitecture, match=r"^\[\[.* is no published architecture"):
        published(nested(3_000))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", published_architectures())
def test_files_hold_the_architecture_for_people_to_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "architecture.json"
    published(name).save(path)
    assert Architecture.load(path) == published(name)
    assert Architecture.load(str(path)) == published(name)
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(published(name).to_dict(), indent=2) + "\n"
    assert len(text.splitlines()) > 5


def test_the_first_five_of_many_wrong_fields_are_named() -> None:
    with pytest.raises(InvalidArchitecture, match=r"^a: missing 0, 1, 2, 3, 4; expected 0, 1, 2"):
        expect_fields({}, "0123456", "a")
    with pytest.raises(InvalidArchitecture, match=r"^a: unknown 1, 2, 3, 4, 5; expected 0$"):
        expect_fields(dict.fromkeys("0123456"), "0", "a")


def test_as_many_items_as_allowed_are_taken() -> None:
    expect_length("1", 3, "layers")
    expect_length("123", 3, "layers")
    for items in ("", "1234"):
        says = f"layers: expected at least one and at most 3, got {len(items)}"
        with pytest.raises(InvalidArchitecture, match=says):
            expect_length(items, 3, "layers")


def test_loading_a_missing_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.json"
    with pytest.raises(InvalidArchitecture, match=re.escape(f"{path}: cannot be read")):
        Architecture.load(path)


def test_loading_a_folder_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchitecture, match=re.escape(f"{tmp_path}: cannot be read")):
        Architecture.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "not JSON"),
        (b"", "not JSON"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "cannot be read"),
        (b'{"version": 1, "kind": "cells"}', "architecture: missing normal, reduction"),
    ],
)
def test_loading_a_file_without_an_architecture_names_it(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "architecture.json"
    path.write_bytes(content)
    with pytest.raises(InvalidArchitecture, match=f"^{re.escape(str(path))}: {message}"):
        Architecture.load(path)


def test_published_names_are_the_papers() -> None:
    assert {"NASNet-A", "AmoebaNet-A"} <= set(published_architectures())


def test_an_unknown_published_name_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidArchitecture, match=r"'NASNet-B' .* did you mean 'NASNet-A'"
    ) as error:
        published("NASNet-B")
    for name in published_architectures():
        assert repr(name) in str(error.value)
