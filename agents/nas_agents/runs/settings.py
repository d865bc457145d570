"""`SearchSettings`: what to search, with what, for how long; and what a resumed search changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any

from nas_agents.catalogue.registry import AGENTS, AUTO, CLASSES
from nas_agents.runs.reading import SETTINGS, InvalidRunFolder, broken, read_json, wrong_with
from nas_gym.errors import InvalidSettings, require
from nas_gym.outside.json_text import short
from nas_gym.settings import Above0, AtATime, Count, Keep, Positive, Repeats, Seed, settings

OF_CHILDREN = ("workers", "ray", "child_timeout", "repeats", "store")
"""Settings that mean something where children are trained, and nowhere else; see
`nas_gym.envs.composition`."""


@settings
class SearchSettings:
    """Subject, means and limits of a search.

    Raises:
        InvalidSettings: a value is not valid, or nothing would ever stop the search.
    """

    env_id: str
    agent: str = AUTO
    """A name in the catalogue, ``module:Class``, or "auto": what suits the number of children."""
    episodes: Positive | None = 60
    """Stop after this number of children, those included that were answered from memory."""
    evaluations: Positive | None = None
    """Stop after this number of children that were really evaluated: no network is paid for twice,
    and none that another search had put into the ``store`` before this one asked for it. Also stop
    where nothing new is designed any more (`nas_agents.runs.progress.MOST_REPEATS`)."""
    seconds: Above0 | None = None
    """Stop after this time, and one child at least. With workers, children under way are ended
    then, and not recorded; without, the child under way is the last one."""
    simulated_seconds: Above0 | None = None
    """Stop after the first child that ends later than this in a recorded benchmark's own time, and
    where nothing new is designed any more."""
    target_accuracy: Keep | None = None
    """Stop at the first child whose validation accuracy reaches this, in (0, 1]."""
    max_failures: Positive = 20
    """Stop when this number of children failed in a row: the settings are wrong then."""
    envs: AtATime = 1
    """Number of networks that are designed, and then evaluated, at a time; at most 10,000, and not
    more than the search has children. It ends after the batch in which a limit is reached. With
    more workers than that, each gets a network of its own as soon as it has none (see
    ``docs/cluster.md``)."""
    seed: Seed = 0
    """The seed of the agent's draws and of the children's training."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    agent_arguments: Mapping[str, Any] = field(default_factory=dict)
    repeats: Repeats = 1
    """Number of trainings of each child, each with its own seed; the child is worth the mean."""
    workers: Positive | None = None
    """Number of children trained at a time, each in its own process; default: in this process."""
    ray: str | None = None
    """Train children on the Ray cluster of this address; "local" starts one on this machine."""
    child_timeout: Above0 | None = None
    """End a child's training, and its process, after this number of seconds."""
    store: str | None = None
    """Where evaluations are kept: a file or a database's URL; default: in the run folder."""
    final_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingSettings` and of the network's settings, for the final training; the
    others are those of `nas_gym.training.presets.final_settings`."""
    final: bool = True
    """Train the best architecture to the end, and test it."""
    finalists: Count | None = None
    """Number of architectures, the best by single evaluations, that are evaluated again, of which
    the mean decides; 0 for none; default: see `nas_agents.search.finalists.planned`."""
    finalist_seeds: Positive = 2
    """Number of further training seeds with which each of them is evaluated."""

    def __post_init__(self) -> None:
        require(
            any(getattr(self, name) for name in BUDGETS),
            "nothing would stop the search; give --episodes, --evaluations, --seconds, "
            "--simulated-seconds or --target-accuracy",
        )
        for name in OF_CHILDREN if self.env_id.startswith("nas_gym/") else ():
            option = f"--{name.replace('_', '-')}"
            says = f"{name}: a search has a setting of its own for it; give {option} instead"
            require(name not in self.env_arguments, says)

    @property
    def repeats_are_free(self) -> bool:
        """True if a network that is asked for again costs nothing of the budget."""
        return bool(self.evaluations or self.simulated_seconds)


BUDGETS = ("episodes", "evaluations", "seconds", "simulated_seconds", "target_accuracy")
"""Settings of which a search needs one."""
LIMITS = (*BUDGETS, "max_failures")
"""Settings that end a search, and change nothing in it: the agent knows the number of episodes that
was planned at first."""
CHANGEABLE = (
    *LIMITS,
    *("workers", "ray", "child_timeout", "store"),
    *("final", "final_arguments", "finalists", "finalist_seeds"),
)
"""Settings that a resumed search may change; all others decide what it does."""
OPTIONS = {"env_id": "the environment", "env_arguments": "--set", "agent_arguments": "--agent-set"}
"""The options of settings whose option has another name."""
WRITTEN = ("inherit_weights", "weights")
"""Arguments of nas_gym's environments that name a file or a folder that a search writes."""
OF_ENV = ("dataset", "device", "reward")
"""Arguments of the environment that have options of their own."""
TEXT = (str, type(None))
RECORDED = {
    **{"agent_made_with": (dict,), "chosen_agent": (str,), "run": (str,), "nas_gym": (str,)},
    **{"fingerprint": TEXT, "planned_episodes": (int,), "asynchronous": (bool,)},
    "machine": (dict,),
}
"""Types of what ``settings.json`` has beside the settings."""


def load_settings(run: Path, trusted: bool = False) -> SearchSettings:
    """Return the settings of a run, with which `nas_agents.search.run.search` resumes it.

    Args:
        run: The run folder.
        trusted: The folder is your own: it may say what is imported, called and written elsewhere.
    """
    settings, _ = load_record(run)
    if not trusted:
        require_given_again(settings, {}, run)
    return settings


def with_lasting_paths(settings: SearchSettings) -> SearchSettings:
    """Return settings that name the environment's files from any working directory."""
    return replace(settings, env_arguments=_lasting(settings.env_id, settings.env_arguments))


def _lasting(env_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment's arguments with absolute paths.

    A data set's name is a path where one exists; others may be made by the search.
    In an environment of the user's own, ``weights`` may be anything.
    """
    lasting = dict(arguments)
    for name, path in arguments.items():
        if not isinstance(path, (str, os.PathLike)) or not path:
            continue
        ours = name == "inherit_weights" or (name == "weights" and "nas_gym/" in env_id)
        if ours or (name == "dataset" and os.path.exists(path)):
            lasting[name] = os.path.abspath(path)
    return lasting


def load_record(run: Path) -> tuple[SearchSettings, dict[str, Any]]:
    """Return the settings of a run, and all that its ``settings.json`` holds."""
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


def environment_arguments(settings: SearchSettings, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a run's environment, with those that its agent needs.

    ``record`` is the content of the run's ``settings.json``, which has the agent.
    """
    entry = AGENTS.get(record.get("chosen_agent", settings.agent))
    return {**(entry.env_arguments if entry else {}), **settings.env_arguments}


def resumed_settings(saved: SearchSettings, given: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of a resumed search: the ``saved`` ones, changed by those given now.

    Of the arguments of the environment and of the agent, some may be given. A data set may have
    moved: whether its images are the same is checked when they are read.
    """
    saved = with_lasting_paths(saved)
    for name, now in given.items():
        if name in CHANGEABLE:
            continue
        option, before = OPTIONS.get(name, f"--{name}"), getattr(saved, name)
        if not isinstance(now, Mapping):
            _require_same(option, before, now)
            continue
        lasting = _lasting(saved.env_id, now) if name == "env_arguments" else now
        for argument, value in lasting.items():
            own = name == "env_arguments" and argument in OF_ENV
            words = f"--{argument}" if own else f"{option} {argument}"
            if argument != "dataset":
                _require_same(words, before.get(argument), value)
    changed = {name: given[name] for name in CHANGEABLE if name in given}
    moved = given.get("env_arguments", {}).get("dataset")
    if moved is not None:
        changed["env_arguments"] = {**saved.env_arguments, "dataset": moved}
    return replace(saved, **changed)


def require_given_again(saved: SearchSettings, given: Mapping[str, Any], run: Path) -> None:
    """Refuse what a run folder, which may be a stranger's, would have imported, called or written.

    ``given`` are the settings that the user gives now, which may repeat those.
    """
    for name, argument, value in _doubtful(saved, run):
        again = given.get(name, {}) if argument else given
        words = filter(None, (OPTIONS.get(name, f"--{name}"), argument))
        require((argument or name) in again, _again(" ".join(words), value))


def words_to_resume(run: Path) -> list[str]:
    """Return the words after ``nas-gym search`` that go on with a run of the user's own."""
    saved, _ = load_record(run)
    words = ["--run", str(run), "--resume"]
    for name, argument, value in _doubtful(saved, run):
        text = value if isinstance(value, str) else json.dumps(value)
        given = f"{argument}={text}" if argument else text
        words += [given] if name == "env_id" else [OPTIONS.get(name, f"--{name}"), given]
    return words


def _doubtful(saved: SearchSettings, run: Path) -> Iterator[tuple[str, str | None, Any]]:
    """Yield the settings that a run folder may not decide alone: name, argument of it, value."""
    inside = run.resolve()

    def leads_out(value: object) -> bool:
        return isinstance(value, str) and not (
            "://" not in value and Path(value).resolve().is_relative_to(inside)
        )

    rule = saved.env_arguments.get("early_stopping")
    curves = rule.get("curves") if isinstance(rule, Mapping) else None
    doubtful = {
        "env_id": ":" in saved.env_id,
        "agent": ":" in saved.agent,
        "store": leads_out(saved.store),
        "ray": saved.ray is not None,
    }
    yield from ((name, None, getattr(saved, name)) for name, doubt in doubtful.items() if doubt)
    written = [(name, saved.env_arguments.get(name)) for name in WRITTEN]
    for name, path in (("early_stopping", curves), *written):
        if leads_out(path):
            yield "env_arguments", name, saved.env_arguments[name]
    for name, value in saved.agent_arguments.items():
        doubt = is_class(name, value) or (name == "tensorboard_log" and leads_out(value))
        if name == PROPOSER_ARGUMENTS and isinstance(value, Mapping):
            doubt = any(is_class(*each) or each[0] == "tensorboard_log" for each in value.items())
        if doubt:
            yield "agent_arguments", name, value


PROPOSER_ARGUMENTS = "proposer_arguments"
"""An agent's argument that holds those of another agent."""


def require_known_classes(made_with: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise `InvalidSettings` if a recorded agent is made with a class that nobody asked for.

    ``asked`` are the catalogue's defaults and what the user gave.
    """
    for name, value in made_with.items():
        if isinstance(value, Mapping) and name == PROPOSER_ARGUMENTS:
            of_asked = asked.get(name)
            require_known_classes(value, of_asked if isinstance(of_asked, Mapping) else {})
        doubt = is_class(name, value) or name == "tensorboard_log"
        require(not doubt or asked.get(name) == value, _again(f"--agent-set {name}", value))


def require_extendable(arguments: Mapping[str, Any], planned: int, episodes: int) -> None:
    """Raise `InvalidSettings` if more episodes than were planned would change the first ones.

    So they do where an agent explores for a share of the search. Another agent that depends on
    their number is found out when it does not repeat what is recorded.
    """
    share = arguments.get("exploration_fraction")
    require(
        share is None or episodes <= planned,
        f"episodes: the agent explores for a share of the search ({share} of {planned:,} episodes),"
        f" and would have explored otherwise in {episodes:,}; start another run, with --store to "
        "use what was evaluated",
    )


def is_class(name: str, value: object) -> bool:
    """Return True if an agent's argument names a class to import, ``module.Class``."""
    classes = {**dict.fromkeys(CLASSES, "."), "proposer": ":"}
    return name in classes and isinstance(value, str) and classes[name] in value


def _again(option: str, value: object) -> str:
    return (
        f"{option}: the run folder asks for {short(value)}, which is imported, called or written "
        "only if you give it again, since a run folder may be a stranger's"
    )


def same_json(one: object, other: object) -> bool:
    """Return True if two values are the same when written as JSON, where tuples are lists."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _require_same(option: str, before: object, now: object) -> None:
    require(
        same_json(before, now),
        f"{option}: a resumed search goes on as it began, with {short(before)}, not {short(now)}; "
        "leave it out, or start another run",
    )
