"""`SearchSettings`: what to search, with what, for how long; and what a resumed search changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any

from nas_agents.search.reading import SETTINGS, InvalidRunFolder, broken, read_json, wrong_with
from nas_gym.errors import InvalidSettings, require
from nas_gym.settings import Above0, Keep, Positive, Repeats, Seed, settings


@settings
class SearchSettings:
    """Subject, means and limits of a search.

    Raises:
        InvalidSettings: a value is not valid, or nothing would ever stop the search.
    """

    env_id: str
    agent: str = "ppo"
    episodes: Positive | None = 60
    """Stop after this number of children."""
    seconds: Above0 | None = None
    """Stop after the first child that ends later than this."""
    target_accuracy: Keep | None = None
    """Stop at the first child whose validation accuracy reaches this, in (0, 1]."""
    max_failures: Positive = 20
    """Stop when this number of children failed in a row: the settings are wrong then."""
    envs: Positive = 1
    """Number of networks that are designed, and then evaluated, at a time. The search ends after
    the batch in which a limit is reached."""
    seed: Seed = 0
    """The seed of the agent's draws and of the children's training."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    agent_arguments: Mapping[str, Any] = field(default_factory=dict)
    repeats: Repeats = 1
    """Number of trainings of each child, each with its own seed; the child is worth the mean."""
    workers: Positive | None = None
    """Number of children trained at a time, each in its own process; default: in this process."""
    children_per_gpu: Positive = 1
    """Number of workers that share a GPU, where children are trained on CUDA."""
    ray: str | None = None
    """Train children on the Ray cluster of this address; "local" starts one on this machine."""
    child_timeout: Above0 | None = None
    """End a child's training, and its process, after this number of seconds."""
    store: str | None = None
    """Where evaluations are kept: a file or a database's URL; default: in the run folder."""
    final_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingSettings` and of the network's settings, for the final training; the
    others are those of `nas_agents.search.final.final_settings`."""
    final: bool = True
    """Train the best architecture to the end, and test it."""

    def __post_init__(self) -> None:
        require(
            (self.episodes, self.seconds, self.target_accuracy) != (None, None, None),
            "nothing would stop the search; give --episodes, --seconds or --target-accuracy",
        )


LIMITS = ("seconds", "target_accuracy", "max_failures")
"""Settings that end a search, and change nothing in it; the number of episodes is known to the
agent."""
CHANGEABLE = (
    *LIMITS,
    *("workers", "children_per_gpu", "ray", "child_timeout", "store"),
    *("final", "final_arguments"),
)
"""Settings that a resumed search may change; all others decide what it does."""
OPTIONS = {"env_id": "the environment", "env_arguments": "--set", "agent_arguments": "--agent-set"}
"""The options of settings whose option has another name."""
TEXT = (str, type(None))
RECORDED = {"agent_made_with": (dict,), "run": (str,), "nas_gym": (str,), "fingerprint": TEXT}
"""Types of what ``settings.json`` has beside the settings."""


def load_settings(run: Path) -> SearchSettings:
    """Return the settings of a run; see `load_record`."""
    return load_record(run)[0]


def load_record(run: Path) -> tuple[SearchSettings, dict[str, Any]]:
    """Return the settings of a run, and all that its ``settings.json`` holds.

    Raises:
        InvalidRunFolder: there are none, or they are not valid.
    """
    file = run / SETTINGS
    if not file.exists():
        raise InvalidRunFolder(
            f"run: {run} is no run folder: without {SETTINGS} it holds no run that could be "
            "resumed or compared; name another folder"
        )
    record = read_json(file)
    wrong = wrong_with(record, {"env_id": (str,)}) or wrong_with(
        record, {name: kinds for name, kinds in RECORDED.items() if name in record}
    )
    if wrong:
        raise broken(file, wrong)
    known = [each.name for each in fields(SearchSettings) if each.name in record]
    try:
        return SearchSettings(**{name: record[name] for name in known}), record
    except InvalidSettings as error:
        raise broken(file, f"is not valid: {error}") from error


def resumed_settings(saved: SearchSettings, given: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of a resumed search: the ``saved`` ones, changed by those given now.

    Of the arguments of the environment and of the agent, some may be given.

    Raises:
        InvalidSettings: one of ``given`` differs, and would change what the search does.
    """
    for name, now in given.items():
        if name in CHANGEABLE:
            continue
        option, before = OPTIONS.get(name, f"--{name}"), getattr(saved, name)
        if not isinstance(now, Mapping):
            _require_same(option, before, now)
            continue
        for argument, value in now.items():
            _require_same(f"{option} {argument}", before.get(argument), value)
    return replace(saved, **{name: given[name] for name in CHANGEABLE if name in given})


def same_json(one: object, other: object) -> bool:
    """Return True if two values are the same when written as JSON, where tuples are lists."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _require_same(option: str, before: object, now: object) -> None:
    require(
        same_json(before, now),
        f"{option}: a resumed search goes on as it began, with {before!r}, not {now!r}; "
        "leave it out, or start another run",
    )
