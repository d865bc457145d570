"""How an agent is made to search: in lock-step with its environments, or asynchronously."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from nas_agents.catalogue.agents import Agent, find_agent
from nas_agents.catalogue.defaults import FOREVER, Plan
from nas_agents.controllers.asynchronous import learns_asynchronously
from nas_agents.drivers.asynchronous import AsynchronousSearch
from nas_agents.drivers.lock_step import LockStepSearch
from nas_agents.drivers.policy_search import PolicySearch
from nas_agents.runs.front import FRONT_PICTURE, draw_front
from nas_agents.runs.progress import UNFINISHED, Progress
from nas_agents.runs.reading import SUMMARY
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.summary import same_best, summary_of
from nas_gym import Architecture, Evaluation, Evaluator, NASEnv
from nas_gym.errors import require
from nas_gym.evaluation.evaluator import fidelities_of
from nas_gym.rendering import draw
from nas_gym.weight_sharing.evaluator import WeightSharing


class Driver(Protocol):
    """Makes an agent search."""

    notices: list[str]
    """Lines for the user, before the search begins."""

    def run(self, recorder: Recorder) -> None:
        """Search until a limit is reached, from what is recorded on.

        Raises:
            NASGymError: the run cannot go on; see `Recorder.add` and the evaluator.
        """

    def choose(self) -> tuple[Architecture, Evaluation] | None:
        """Return the agent's own choice at the end; None for the best of its episodes."""

    def save(self, folder: RunFolder) -> None:
        """Save the agent, if it can be saved, in the run's folder."""


def is_asynchronous(
    agent: Agent, evaluator: object, environments: int, workers: float, before: Mapping[str, Any]
) -> bool:
    """Return True for a search in which no worker waits for another.

    Strategies and policy gradients can search so, unless shared weights are trained between the
    episodes. They do where there are more workers than networks that are designed at a time, or one
    network at a time; a resumed search, as it began. ``workers`` is infinite where their number is
    not known yet: then the search is asynchronous if the agent can, and no agent is refused.

    Raises:
        InvalidSettings: the agent cannot, and there are more workers than networks at a time.
    """
    learns = learns_asynchronously(agent.algorithm) and not agent.entry.conditioned
    able = (agent.strategy is not None or learns) and not isinstance(evaluator, WeightSharing)
    wanted = before.get("asynchronous", environments == 1 or workers > environments)
    remedy = f"give --envs {2 * workers}, for instance"
    if agent.name == "ars":  # of which more networks at a time would be equal
        remedy = "leave --workers out"
    elif before:
        remedy = f"the resumed search keeps that: give --workers {environments}"
    require(
        workers <= environments or workers == math.inf or (able and wanted),
        f"workers: the agent designs {environments} network(s) at a time (--envs), of which "
        f"{workers} workers would not all have one; {remedy}",
    )
    return able and bool(wanted)


def make_driver(
    agent: Agent,
    asynchronous: bool,
    env: NASEnv,
    plan: Plan,
    arguments: Mapping[str, Any],
    seed: int,
) -> Driver:
    """Make what drives an agent in an environment.

    Args:
        agent: The agent.
        asynchronous: Let no worker wait for another; otherwise there are ``plan.environments``
            episodes in lock-step.
        env: The environment.
        plan: The plan of the search.
        arguments: The agent's arguments.
        seed: The seed of the agent's draws.

    Raises:
        InvalidSettings: the agent does not suit the environment, or refuses its arguments.
    """
    if agent.trains_in_parts:
        return _in_parts(agent, asynchronous, env, plan, arguments, seed)
    if asynchronous and agent.strategy is not None:
        return AsynchronousSearch(agent.make_strategy(env.search_space, arguments, seed), env)
    driver = PolicySearch if asynchronous else LockStepSearch
    return driver(agent, env, plan, arguments, seed)


@contextmanager
def ended_in_time(recorder: Recorder, cancel: Callable[[], None]) -> Iterator[None]:
    """Cancel the children that are under way within it when the search's seconds are over."""
    limit, done = recorder.limits.seconds, threading.Event()

    def watch(limit: float) -> None:
        while not done.wait(min(1.0, max(0.05, limit - recorder.progress.seconds))):
            late = recorder.progress.seconds >= limit
            if late and recorder.progress.episodes and not recorder.replaying:
                cancel()

    watching = threading.Thread(target=watch, args=(limit,), daemon=True)
    if limit is not None:
        watching.start()
    try:
        yield
    finally:
        done.set()
        if limit is not None:
            watching.join()  # it would cancel what comes next


def _in_parts(
    agent: Agent,
    asynchronous: bool,
    env: NASEnv,
    plan: Plan,
    arguments: Mapping[str, Any],
    seed: int,
) -> Driver:
    """Make what drives a `MultiFidelity` strategy: its proposer's driver, with it in between."""
    proposer, fidelities = find_agent(arguments["proposer"]), fidelities_of(env.memory.evaluator)
    require(
        asynchronous,
        f"agent: {agent.name} lets no worker wait for another; give --envs 1, or more --workers",
    )
    _require_parts(agent, env, fidelities)
    learns = learns_asynchronously(proposer.algorithm) and not proposer.entry.conditioned
    require(
        (learns or proposer.strategy is not None) and not proposer.trains_in_parts,
        f"proposer: {proposer.name} proposes no architecture before others are evaluated; use a "
        "strategy, such as 'regularized-evolution', or a policy gradient, such as 'reinforce'",
    )
    proposer.check_reward(env.reward)
    driver = make_driver(proposer, True, env, plan, arguments["proposer_arguments"], seed)
    assert isinstance(driver, AsynchronousSearch)
    own = {each: arguments[each] for each in arguments if each != "proposer_arguments"}
    own |= {"fidelities": fidelities, "proposer": driver.strategy}
    driver.strategy = agent.make_strategy(env.search_space, own, seed)
    return driver


def _require_parts(agent: Agent, env: NASEnv, fidelities: Sequence[int]) -> None:
    """Raise `InvalidSettings` unless children can be trained part by part."""
    require(
        len(fidelities) > 1,
        f"agent: {agent.name} needs children that can be evaluated after fewer epochs, and those "
        "here cannot: trained ones without early_stopping and inherit_weights can, for 2 epochs or "
        "more, and so can recorded ones with several epochs",
    )
    require(
        env.search_space.stage(0) == env.search_space.stage(FOREVER),
        f"agent: {agent.name} lets children go on later, when the depth_schedule would have made "
        "others of them; leave that out",
    )


def drive(
    driver: Driver,
    recorder: Recorder,
    env: NASEnv,
    evaluator: Evaluator,
    decide: Callable[[], dict[str, Any] | None] | None,
    before: Mapping[str, Any] | None,
) -> tuple[Progress, dict[str, Any]]:
    """Let the agent search; return the progress and the summary of its search.

    Args:
        driver: Makes the agent search.
        recorder: Writes down what it does.
        env: The environment with workers and store.
        evaluator: What evaluates its children, without them.
        decide: Chooses among finalists at the end, if there are any, and returns their results.
        before: The summary of the search before it went on; its final training stands if it was
            that of the architecture which is still the best.
    """
    cancel = getattr(env.memory.evaluator, "cancel", lambda: None)
    try:
        with ended_in_time(recorder, cancel):
            driver.run(recorder)
    except KeyboardInterrupt:
        recorder.stopped_by = "interrupted"
    except CancelledError:
        recorder.stopped_by = "seconds"
    cancel()  # what is under way when a target is reached would keep the finalists waiting
    stopped_by = recorder.stopped_by or "episodes"
    if not recorder.replaying:
        recorder.start()
        driver.save(recorder.folder)
    chosen = None if stopped_by in UNFINISHED else driver.choose()
    if chosen is not None and chosen[1].status == "ok":
        architecture, evaluation = chosen
        reward = np.asarray(env.reward(evaluation)).tolist()
        recorder.choose(architecture, reward, evaluation.to_dict())

    def summarize(held: dict[str, Any] | None = None) -> dict[str, Any]:
        summary = summary_of(recorder.progress, stopped_by, evaluator, env, held)
        if before is not None and before["final"] is not None and same_best(before, summary):
            done = ("final", "final_failure", "test_accuracy")
            summary |= {name: before[name] for name in done}
        _write_results(recorder, summary)
        return summary

    summary = summarize()  # from now on, a resumed search knows that it has ended
    if decide is not None and stopped_by not in UNFINISHED:
        try:
            summary = summarize(decide())
        except KeyboardInterrupt:
            summary["stopped_by"] = "interrupted"
    return recorder.progress, summary


def _write_results(recorder: Recorder, summary: Mapping[str, Any]) -> None:
    """Write the summary, and the pictures of the best architecture and of the front.

    Where not all that was recorded is repeated yet, the earlier ones stand.
    """
    progress, folder = recorder.progress, recorder.folder
    if recorder.replaying:
        return
    if progress.best_architecture is not None:
        folder.replace("best.png", draw(progress.best_architecture).save)
    if progress.front is not None and progress.front.children:
        folder.replace(FRONT_PICTURE, draw_front(progress.front).save)
    folder.write(SUMMARY, summary)
