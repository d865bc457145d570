"""`SearchSettings`: what to search, with what, for how long; and how a resumed search gets them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nas_agents.search.run_folder import (
    SETTINGS,
    InvalidRunFolder,
    broken,
    read_json,
    wrong_with,
)
from nas_gym.errors import InvalidSettings, require, require_integer, require_truth


@dataclass(frozen=True)
class SearchSettings:
    """What to search, with what, for how long.

    Raises:
        InvalidSettings: a value is out of its range, or nothing would ever stop the search.
    """

    env_id: str
    agent: str = "ppo"
    episodes: int | None = 60
    """Stop after so many children."""
    seconds: float | None = None
    """Stop after the first child that ends later than this."""
    target_accuracy: float | None = None
    """Stop at the first child whose validation accuracy reaches this, in [0, 1]."""
    max_failures: int = 20
    """Stop when so many children failed, one after the other: the settings are wrong then."""
    envs: int = 1
    """How many networks are designed, and then evaluated, at a time. The search ends after the
    batch in which a limit is reached."""
    seed: int = 0
    """Of the agent's draws and of the children's training."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    agent_arguments: Mapping[str, Any] = field(default_factory=dict)
    repeats: int = 1
    """How often each child is trained, with a seed of its own each time; it is worth the mean."""
    workers: int | None = None
    """Train so many children at a time, each in a process of its own; default: in this process."""
    children_per_gpu: int = 1
    """How many workers share a GPU, where children are trained on CUDA."""
    ray: str | None = None
    """Train children on the Ray cluster of this address; "local" starts one on this machine."""
    child_timeout: float | None = None
    """End a child's training, and its process, after so many seconds."""
    store: str | None = None
    """Where evaluations are kept: a file or a database's URL; default: in the run folder."""
    final_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingSettings` and of the network's settings, for the final training; see
    `nas_agents.search.run.final_settings` for what holds otherwise."""
    final: bool = True
    """Whether the best architecture is trained to the end and tested."""

    def __post_init__(self) -> None:
        budget = (self.episodes, self.seconds, self.target_accuracy)
        require(
            any(limit is not None for limit in budget),
            "nothing would stop the search; give --episodes, --seconds or --target-accuracy",
        )
        for name in ("env_id", "agent", "ray", "store"):
            self._require_kind(name, str, "a text")
        for name in ("env_arguments", "agent_arguments", "final_arguments"):
            self._require_kind(name, Mapping, "an object")
        for name in ("seconds", "child_timeout", "target_accuracy"):
            self._require_kind(name, int | float, "a number")
            limit = getattr(self, name)
            require(limit is None or limit > 0, f"{name}: expected more than 0, got {limit}")
        target = self.target_accuracy
        require(
            target is None or target <= 1,
            f"target_accuracy: expected a number in (0, 1], got {target}",
        )
        require_integer("seed", self.seed, least=0)
        for name in ("envs", "repeats", "max_failures", "children_per_gpu"):
            require_integer(name, getattr(self, name), least=1)
        for name in ("episodes", "workers"):
            if getattr(self, name) is not None:
                require_integer(name, getattr(self, name), least=1)
        require_truth("final", self.final)

    def _require_kind(self, name: str, kind: Any, expected: str) -> None:
        """Raises `InvalidSettings` unless a field is of a kind, or None where that is its default.

        Args:
            name: Of the field.
            kind: What `isinstance` takes.
            expected: The same in words.
        """
        value = getattr(self, name)
        optional = getattr(type(self), name, "") is None
        require(
            isinstance(value, kind) or (optional and value is None),
            f"{name}: expected {expected}, got {value!r}",
        )


LIMITS = ("seconds", "target_accuracy", "max_failures")
"""What ends a search, and changes nothing in it; the number of episodes is known to the agent."""
CHANGEABLE = (
    *LIMITS,
    *("workers", "children_per_gpu", "ray", "child_timeout", "store"),
    *("final", "final_arguments"),
)
"""The settings that a resumed search may have otherwise than before; all others decide what it
does."""
OPTIONS = {"env_id": "the environment", "env_arguments": "--set", "agent_arguments": "--agent-set"}
"""What a user gives those settings by whose option has another name."""


def load_settings(run: Path) -> SearchSettings:
    """The settings of a run.

    Raises:
        InvalidRunFolder: there are none, or they are not valid.
    """
    return load_record(run)[0]


def load_record(run: Path) -> tuple[SearchSettings, dict[str, Any]]:
    """The settings of a run, and all that its ``settings.json`` holds.

    Raises:
        InvalidRunFolder: as `load_settings`.
    """
    file = run / SETTINGS
    if not file.exists():
        raise InvalidRunFolder(
            f"run: {run} is no run folder: without {SETTINGS} it holds no run that could be "
            "resumed or compared; name another folder"
        )
    record: dict[str, Any] = read_json(file)
    wrong = wrong_with(record, {"env_id": (str,)})
    if not wrong and "agent_made_with" in record:
        wrong = wrong_with(record, {"agent_made_with": (dict,)})
    if wrong:
        raise broken(file, wrong)
    known = {each.name for each in fields(SearchSettings)}
    given = {name: value for name, value in record.items() if name in known}
    try:
        return SearchSettings(**given), record
    except InvalidSettings as error:
        raise broken(file, f"is not valid: {error}") from error


def resumed_settings(saved: SearchSettings, given: Mapping[str, Any]) -> SearchSettings:
    """The settings of a resumed search.

    Args:
        saved: Those that it had.
        given: Those that were given now, by name; of the arguments of the environment and of the
            agent, those among them that were given.

    Raises:
        InvalidSettings: one of ``given`` differs, and would change what the search does.
    """
    for name, value in given.items():
        if name in CHANGEABLE:
            continue
        before = getattr(saved, name)
        if isinstance(value, Mapping):
            for each, argument in value.items():
                _require_same(f"{OPTIONS[name]} {each}", before.get(each), argument)
        else:
            option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
            _require_same(option, before, value)
    return replace(saved, **{name: given[name] for name in CHANGEABLE if name in given})


def same_json(one: object, other: object) -> bool:
    """Whether two values are the same when they are written as JSON, where tuples are lists."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _require_same(option: str, before: object, now: object) -> None:
    require(
        same_json(before, now),
        f"{option}: a resumed search goes on as it began, with {before!r}, not {now!r}; "
        "leave it out, or start another run",
    )
