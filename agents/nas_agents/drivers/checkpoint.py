"""Writes the whole state of a search now and then, and goes on from there."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.controllers.sharing.shared_weights import random_state, set_random_state
from nas_agents.drivers.state import NotPlain, Plain, restore, state_of
from nas_agents.runs.reading import EPISODES, is_partial, reading_line
from nas_agents.runs.recorder import Recorder
from nas_gym import Architecture, NASEnv
from nas_gym.store import StoredEvaluator
from nas_gym.training.checkpoint import packed

STATE = "checkpoint/state.pt"
SHARE = 0.01
"""The share of a search's time that checkpoints may take."""
OF_ARGUMENTS = ("rollout_buffer", "_total_timesteps")
"""Attributes of algorithms that are empty between two rollouts, or follow from the arguments."""
KNOWN = ("stable_baselines3", "sb3_contrib", "nas_agents")
"""Packages whose algorithms have no state that `agent_state` leaves out."""


class Checkpoints:
    """Saves and restores one search, between two of its steps.

    A checkpoint holds the number of recorded episodes that it follows from, and a digest of these.
    One that does not fit the record, or cannot be read, is passed over.

    Args:
        recorder: Of the search, whose folder holds the checkpoint.
        env: Its environment.
        get: Returns the state of what searches; raises `NotPlain` if it has no plain form.
        put: Restores that state.
    """

    def __init__(
        self,
        recorder: Recorder,
        env: NASEnv,
        get: Callable[[], Plain],
        put: Callable[[Plain], None],
    ) -> None:
        self.recorder, self.env, self.get, self.put = recorder, env, get, put
        self.possible = not getattr(env.memory.evaluator, "changes", False)
        self._due = 0.0

    def save_if_due(self) -> None:
        """Save, unless checkpoints would take more than `SHARE` of the time."""
        started = time.perf_counter()
        if started < self._due or not self.recorder.writes:
            return
        self.save()
        ended = time.perf_counter()
        self._due = ended + (ended - started) / SHARE

    def save(self) -> None:
        """Save, if all of the state has a plain form."""
        if not self.possible:
            return
        try:
            search = self.get()
        except NotPlain:
            self.possible = False
            return
        place = self.recorder.place()
        state = {"record": place, "search": search, "random": _random()}
        content = packed(state)
        self.recorder.folder.replace(STATE, lambda part: part.write_bytes(content))

    def restore(self) -> None:
        """Go on from the checkpoint of an earlier process, if there is one that fits."""
        file, earlier = self.recorder.folder.path / STATE, self.recorder.earlier
        if self.recorder.verify or not (self.possible and earlier and file.is_file()):
            return
        try:
            before = {"search": self.get(), "random": _random()}
        except NotPlain:
            return
        try:
            saved = torch.load(file, weights_only=True)
            number = saved["record"]["episodes"]
            if not self.recorder.fits(saved["record"]):
                return
            self._put(saved)
        except Exception:  # of a file that anything may have been written to
            self._put(before)
            return
        self._remember(earlier[:number])
        self.recorder.go_on_from(saved["record"])
        self._put(saved)

    def _remember(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Let the memory know what was evaluated, by the store, if it is there."""
        evaluator, whole, parts = self.env.memory.evaluator, [], []
        for line, record in enumerate(records, start=1):
            with reading_line(self.recorder.folder.path / EPISODES, line):
                architecture = Architecture.from_json(record["architecture"])
            epochs = record["epochs"] if is_partial(record) else None
            if isinstance(evaluator, StoredEvaluator) and not evaluator.has(architecture, epochs):
                continue  # another store had it
            if epochs is None:
                whole.append(architecture)
            else:
                parts.append((architecture, epochs))
        self.env.memory.evaluate(whole)
        for part in parts:
            self.env.memory.submit(*part).result()

    def _put(self, saved: Mapping[str, Any]) -> None:
        self.put(saved["search"])
        _set_random(saved["random"])


def agent_state(agent: BaseAlgorithm) -> Plain:
    """Return the state of a Stable-Baselines3 algorithm between two rollouts.

    Raises:
        NotPlain: it is none of `KNOWN`, or has no such moment.
    """
    if type(agent).__module__.partition(".")[0] not in KNOWN:
        raise NotPlain(f"{type(agent).__name__} may have a state of its own")
    if not isinstance(agent, (OnPolicyAlgorithm, OffPolicyAlgorithm)):
        raise NotPlain(f"{type(agent).__name__} draws before a rollout")
    own = state_of(agent, lenient=True)
    for name in [each for each in own if each in OF_ARGUMENTS or each.endswith("_kwargs")]:
        del own[name]
    return {
        "parameters": deepcopy(agent.get_parameters()),
        "own": own,
        "actions": state_of(agent.action_space, lenient=True).get("_np_random"),
    }


def restore_agent(agent: BaseAlgorithm, state: Plain) -> None:
    """Restore a state of `agent_state`; raises for one of another agent."""
    agent.set_parameters(state["parameters"])
    restore(agent, state["own"])
    agent.action_space.np_random  # noqa: B018  makes the generator
    restore(agent.action_space, {"_np_random": state["actions"]})


class _Random:
    """The global generators of NumPy, Python and PyTorch, as one object."""

    def __init__(self) -> None:
        self.state = random_state()


def _random() -> Plain:
    return state_of(_Random())


def _set_random(state: Plain) -> None:
    holder = _Random()
    restore(holder, state)
    set_random_state(holder.state)


def machine() -> dict[str, Any]:
    """Return what floating-point results depend on, beside the program."""
    return {
        "threads": torch.get_num_threads(),
        "instructions": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return a line that says in what two machines differ; "" if in nothing."""
    changed = [
        f"{name}: {before[name]} then, {value} now"
        for name, value in now.items()
        if name in before and before[name] != value
    ]
    where = "; ".join(changed)
    return f"floats may differ from here on in their last digits ({where})" if changed else ""
