"""Drives a `Strategy`: every worker has a child to train, and none waits for another."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from nas_agents.drivers.checkpoint import Checkpoints
from nas_agents.drivers.state import Plain, restore, state_of
from nas_agents.runs.reading import Kinds
from nas_agents.runs.recorder import Recorder, SearchOver
from nas_agents.runs.run_folder import RunFolder
from nas_agents.strategies import MultiFidelity, Strategy
from nas_gym import Architecture, Evaluation, NASEnv, SearchSpace
from nas_gym.evaluation.evaluator import fidelities_of
from nas_gym.search_spaces import Choices

PLACES: dict[str, Kinds] = {"proposal": (int,), "proposals": (int,)}
"""Further fields of a line of ``episodes.jsonl``."""
PARTS: dict[str, Kinds] = {"epochs": (int,), "partial": (bool,)}
"""Those where children are trained in parts: up to which epoch, and whether it is not the last."""


class Proposal(NamedTuple):
    """An architecture that a strategy proposed, and whose reward it does not know yet."""

    choices: Choices  # (T,), as they were proposed
    taken: Choices  # (T,), with valid ones in the place of others
    architecture: Architecture
    epochs: int | None = None
    """Number of epochs to which it is trained, where the strategy is `MultiFidelity`."""


class AsynchronousSearch:
    """Proposes architectures, and observes their rewards in the order in which children end.

    A `MultiFidelity` strategy says for how many epochs a child is trained; the line of an episode
    has ``epochs`` then, and ``partial``, which is true of all but full trainings.

    With one worker it is sequential: the seed settles all that happens. With several, the order in
    which children end settles what is proposed next, and depends on timings. It is recorded: an
    episode's line says which ``proposal`` it was, and how many ``proposals`` there were when it was
    observed. A resumed search goes on from its last checkpoint, repeats what is recorded after it,
    and trains those children again that were under way.

    Args:
        strategy: Proposes the architectures.
        env: Its evaluator and its reward answer.
    """

    def __init__(self, strategy: Strategy, env: NASEnv) -> None:
        self.strategy, self.env = strategy, env
        strategy.prepare(env.reward, env.memory)
        self.notices: list[str] = []
        self.proposals = 0
        self.under_way: dict[int, Proposal] = {}
        """By the proposal's number."""
        self.ended: SimpleQueue[tuple[int, Future[Evaluation]]] = SimpleQueue()
        """The children that ended, and were not observed yet."""
        self._complete = False

    def run(self, recorder: Recorder) -> None:
        """See `nas_agents.drivers.driver.Driver.run`."""
        self.checkpoints = Checkpoints(recorder, self.env, self.state, self.restore)
        self.checkpoints.restore()
        with suppress(SearchOver):
            self._replay(recorder)
        for number in () if recorder.over else self.under_way:
            self._submit(number)
        workers = getattr(self.env.memory.evaluator, "workers", 1)
        limit = recorder.limits.episodes
        while not recorder.over:
            wanted = self.proposals + workers - len(self.under_way)
            for number in self._propose(wanted if limit is None else min(wanted, limit)):
                self._submit(number)
            self._complete = True
            number, future = self.ended.get()
            evaluation = future.result()
            self._complete = False
            self._observe(number, evaluation, recorder)
            self.checkpoints.save_if_due()
        self._complete = True

    def _replay(self, recorder: Recorder) -> None:
        """Repeat what an earlier process recorded after its last checkpoint."""
        while recorder.replaying:
            episode = recorder.earlier[recorder.progress.episodes]
            self._propose(up_to=episode["proposals"])
            number = episode["proposal"]
            proposal = self.under_way.get(number)
            if proposal is None or not _is_of(proposal, episode):
                recorder.go_on_after_all()
                return
            self._observe(number, self._asked(proposal).result(), recorder)

    def state(self) -> Plain:
        """Return the state between two children; raise `NotPlain` if it has no plain form."""
        under_way = {
            number: [each.choices.tolist(), each.epochs] for number, each in self.under_way.items()
        }
        strategies = [state_of(each) for each in self._strategies()]
        return {"proposals": self.proposals, "under_way": under_way, "strategies": strategies}

    def restore(self, state: Plain) -> None:
        """Restore a `state`."""
        self.proposals, self.under_way = state["proposals"], {}
        for number, (choices, epochs) in state["under_way"].items():
            self._add(number, np.array(choices, dtype=np.int64), epochs)
        for strategy, of_strategy in zip(self._strategies(), state["strategies"], strict=True):
            restore(strategy, of_strategy)

    def _strategies(self) -> list[Strategy]:
        """Return all strategies that have a state."""
        if isinstance(self.strategy, MultiFidelity):
            return [self.strategy, self.strategy.proposer]
        return [self.strategy]

    def _propose(self, up_to: int) -> range:
        """Let the strategy propose until it has done so ``up_to`` times; return the new numbers."""
        first = self.proposals + 1
        while self.proposals < up_to:
            self.proposals += 1
            if isinstance(self.strategy, MultiFidelity):
                self._add(self.proposals, *self.strategy.next_training())
            else:
                self._add(self.proposals, self.strategy.proposal())
        return range(first, self.proposals + 1)

    def _add(self, number: int, choices: Choices, epochs: int | None = None) -> None:
        stage = self.env.search_space.stage(number - 1)
        taken = choices if stage is self.env.search_space else within(stage, choices)
        self.under_way[number] = Proposal(choices, taken, stage.decode(taken), epochs)

    def _submit(self, number: int) -> None:
        future = self._asked(self.under_way[number])
        future.add_done_callback(lambda ended: self.ended.put((number, ended)))

    def _asked(self, proposal: Proposal) -> Future[Evaluation]:
        part = proposal.epochs if self._is_partial(proposal) else None
        return self.env.memory.submit(proposal.architecture, part)

    def _is_partial(self, proposal: Proposal) -> bool:
        return proposal.epochs not in (None, *fidelities_of(self.env.memory.evaluator)[-1:])

    def _observe(self, number: int, evaluation: Evaluation, recorder: Recorder) -> None:
        """Hand the reward of a child to the strategy, and to the recorder."""
        proposal = self.under_way.pop(number)
        choices, taken, architecture, epochs = proposal
        reward: Any = np.asarray(self.env.reward(evaluation)).tolist()  # a number, or a list
        more: dict[str, Any] = {"proposal": number, "proposals": self.proposals}
        if epochs is not None:
            more |= {"epochs": epochs, "partial": self._is_partial(proposal)}
        record = evaluation.to_dict()
        recorder.add(architecture.to_json(), taken, reward, record, more)
        if isinstance(self.strategy, MultiFidelity):
            assert epochs is not None
            self.strategy.trained(choices, epochs, reward, evaluation.status != "ok")
        else:
            self.strategy.observe_evaluation(choices, reward, record)

    def choose(self) -> None:
        """See `nas_agents.drivers.driver.Driver.choose`."""

    def save(self, folder: RunFolder) -> None:
        """See `nas_agents.drivers.driver.Driver.save`."""
        if self._complete:  # and not interrupted while the strategy learns
            self.checkpoints.save()


def _is_of(proposal: Proposal, episode: Mapping[str, Any]) -> bool:
    """Return True if an episode is the evaluation of a proposal."""
    same = proposal.architecture.to_json() == episode["architecture"]
    return same and proposal.epochs == episode.get("epochs")


def within(stage: SearchSpace, choices: Choices) -> Choices:
    """Return choices as an environment takes them: with a valid one where one is not valid yet."""
    taken = choices.copy()
    for step, choice in enumerate(choices.tolist()):
        taken[step], _ = stage.rules(taken, step).resolve(choice)
    return taken
