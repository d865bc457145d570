"""Drives a `Strategy`: every worker has a child to train, and none waits for another."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from nas_agents.search.reading import EPISODES, Kinds, check_lines
from nas_agents.search.recorder import NotReproduced, Recorder
from nas_agents.search.run_folder import RunFolder
from nas_agents.strategies import Strategy
from nas_gym import Architecture, Evaluation, NASEnv, SearchSpace
from nas_gym.search_spaces import Choices

PLACES: dict[str, Kinds] = {"proposal": (int,), "proposals": (int,)}
"""Further fields of a line of ``episodes.jsonl``."""


class Proposal(NamedTuple):
    """An architecture that a strategy proposed, and whose reward it does not know yet."""

    choices: Choices  # (T,), as they were proposed
    taken: Choices  # (T,), with valid ones in the place of others
    architecture: Architecture


class AsynchronousSearch:
    """Proposes architectures, and observes their rewards in the order in which children end.

    With one worker it is sequential: the seed settles all that happens. With several, the order in
    which children end settles what is proposed next, and depends on timings. It is recorded: an
    episode's line says which ``proposal`` it was, and how many ``proposals`` there were when it was
    observed. A resumed search repeats just that, and trains those children again that were under
    way.

    Args:
        strategy: Proposes the architectures.
        env: Its evaluator and its reward answer.
    """

    def __init__(self, strategy: Strategy, env: NASEnv) -> None:
        self.strategy, self.env = strategy, env
        self.notices: list[str] = []
        self.proposals = 0
        self.under_way: dict[int, Proposal] = {}
        """By the proposal's number."""
        self.ended: SimpleQueue[tuple[int, Future[Evaluation]]] = SimpleQueue()
        """The children that ended, and were not observed yet."""

    def run(self, recorder: Recorder) -> None:
        """See `nas_agents.search.drivers.Driver.run`."""
        self._replay(recorder)
        for number in () if recorder.over else self.under_way:
            self._submit(number)
        workers = getattr(self.env.memory.evaluator, "workers", 1)
        limit = recorder.limits.episodes
        while not recorder.over:
            wanted = self.proposals + workers - len(self.under_way)
            for number in self._propose(wanted if limit is None else min(wanted, limit)):
                self._submit(number)
            number, future = self.ended.get()
            self._observe(number, future.result(), recorder)

    def _replay(self, recorder: Recorder) -> None:
        """Repeat what an earlier process recorded."""
        check_lines(recorder.folder.path / EPISODES, recorder.earlier, PLACES)
        for episode in recorder.earlier:
            self._propose(up_to=episode["proposals"])
            number = episode["proposal"]
            if number not in self.under_way:
                raise NotReproduced(
                    f"run: {recorder.folder.path} cannot be resumed: episode {episode['episode']} "
                    f"is of proposal {number}, which is not under way there. episodes.jsonl was "
                    "changed; start another run, with --store to use what was evaluated"
                )
            evaluation = self.env.memory.submit(self.under_way[number].architecture).result()
            self._observe(number, evaluation, recorder)

    def _propose(self, up_to: int) -> range:
        """Let the strategy propose until it has done so ``up_to`` times; return the new numbers."""
        first = self.proposals + 1
        while self.proposals < up_to:
            stage = self.env.search_space.stage(self.proposals)
            self.proposals += 1
            choices = self.strategy.propose()
            taken = within(stage, choices)
            self.under_way[self.proposals] = Proposal(choices, taken, stage.decode(taken))
        return range(first, self.proposals + 1)

    def _submit(self, number: int) -> None:
        future = self.env.memory.submit(self.under_way[number].architecture)
        future.add_done_callback(lambda ended: self.ended.put((number, ended)))

    def _observe(self, number: int, evaluation: Evaluation, recorder: Recorder) -> None:
        """Hand the reward of a child to the strategy, and to the recorder."""
        choices, taken, architecture = self.under_way.pop(number)
        reward: Any = np.asarray(self.env.reward(evaluation)).tolist()  # a number, or a list
        places = {"proposal": number, "proposals": self.proposals}
        recorder.add(architecture.to_json(), taken, reward, evaluation.to_dict(), places)
        self.strategy.observe(choices, reward)

    def choose(self) -> None:
        """See `nas_agents.search.drivers.Driver.choose`."""

    def save(self, folder: RunFolder) -> None:
        """Save nothing: a strategy follows from the rewards that are recorded."""


def within(stage: SearchSpace, choices: Choices) -> Choices:
    """Return choices as an environment takes them: with a valid one where one is not valid yet."""
    taken = choices.copy()
    for step, choice in enumerate(choices.tolist()):
        taken[step], _ = stage.rules(taken, step).resolve(choice)
    return taken
