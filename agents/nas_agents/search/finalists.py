"""Finalists: the best of single evaluations are evaluated again, and the mean decides.

The highest of many noisy values is too high, and often not the best network's. In 3,000 random
searches of 100 networks of TinyBench, with two further trainings of the best 10, the network with
the best mean had a test accuracy of 44.2%, that with the best single evaluation 44.0%; the mean
was 0.4 points too high, the single evaluation 0.9 (`examples/benchmarks/finalists.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas_agents.runs.reading import EPISODE, EPISODES, is_partial, read_episodes
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.final import FinalTraining
from nas_gym import Architecture, Evaluator, NASEnv
from nas_gym.envs.composition import trains_children
from nas_gym.errors import require
from nas_gym.objectives import Objectives
from nas_gym.rewards import AnyReward
from nas_gym.store.evaluator import StoredEvaluator, mean_of
from nas_gym.training.trainer import Trainer

MOST = 10
"""Number of finalists, unless another is given, or so many would cost too much."""


@dataclass(frozen=True)
class Finalists:
    """A number of architectures that are evaluated with further training seeds."""

    number: int
    seeds: int
    """Number of further trainings of each."""

    def decide(self, recorder: Recorder, env: NASEnv) -> dict[str, Any] | None:
        """Evaluate the finalists, make the best of them the search's, and return all results.

        ``env`` has workers and a store around its evaluator. A finalist that failed once is out.
        None if no child could be trained.
        """
        candidates = _leaders(recorder, self.number)
        evaluator: StoredEvaluator = env.memory.evaluator  # type: ignore[assignment]
        asked = {
            number: evaluator.submit_repeats(architecture, range(self.seeds + 1))
            for number, architecture in candidates.items()
        }
        made = {number: [each.result() for each in futures] for number, futures in asked.items()}
        means = {number: mean_of(evaluations) for number, evaluations in made.items()}
        standing = sorted(
            (number for number in means if means[number].status == "ok"),
            key=lambda number: -float(env.reward(means[number])),
        )
        if not standing:
            return None
        first = standing[0]
        mean = means[first]
        recorder.choose(candidates[first], float(env.reward(mean)), mean.to_dict(), first)
        new = [each for evaluations in made.values() for each in evaluations[1:] if not each.cached]
        rows = [
            {
                "episode": number,
                "key": candidates[number].key,
                "validation_accuracy": means[number].accuracy,
                "accuracies": [each.accuracy for each in made[number]],
            }
            for number in standing
        ]
        cost = {"made": len(new), "seconds": sum(each.seconds for each in new)}
        return {**asdict(self), **cost, "standing": rows}


def planned(
    settings: SearchSettings,
    arguments: Mapping[str, Any],
    evaluator: Evaluator,
    final: FinalTraining | None,
    reward: AnyReward,
) -> tuple[Finalists | None, str | None]:
    """Return the finalists of a search, None if there are none, and a line about them.

    Unless their number is given, they cost at most as many epochs as the final training, whose
    network is larger. There are none where nothing is trained, where there is no final training,
    where not even two would cost so little, or where a front of several objectives is searched for,
    which has no one best. ``arguments`` are those of the environment.
    """
    seeds, number = settings.finalist_seeds, settings.finalists
    front = "there are several objectives, and a front instead of a best architecture"
    several = isinstance(reward, Objectives)
    require(not (several and number), f"finalists: {front}; leave --finalists out")
    if number == 0 or several:
        return None, None
    if not trains_children(evaluator) or arguments.get("inherit_weights") is not None:
        why = f"the evaluator ({type(evaluator).__name__}) has no second, independent result"
        require(number is None, f"finalists: {why} of a child; leave --finalists out")
        return None, None
    if number is not None:
        return Finalists(number, seeds), _cost(number, seeds, settings)
    if final is None or not isinstance(evaluator, Trainer):
        return None, None
    own = evaluator.settings
    epochs = own.epochs * own.data_fraction * settings.repeats
    number = min(MOST, int(final.settings.epochs / (epochs * seeds)))
    if number < 2:
        line = "no finalists: they would cost more epochs than the final training"
        return None, f"{line}; --finalists {MOST} evaluates the best {MOST} again"
    cost = _cost(number, seeds, settings)
    return Finalists(number, seeds), f"{cost} (--finalists 0: none)"


def _cost(number: int, seeds: int, settings: SearchSettings) -> str:
    """Return the line that says what finalists cost."""
    number = min(number, settings.episodes or number)
    return (
        f"finalists: at the end, the best {number} are trained with {seeds} further "
        f"seed{'s' if seeds > 1 else ''} each, {number * seeds * settings.repeats} trainings of a "
        "child more"
    )


def are_held(finalists: Finalists | None, summary: Mapping[str, Any]) -> bool:
    """Return True if the summary of a search has the results of just these finalists."""
    held = summary["finalists"] or {}
    names = ("number", "seeds")
    wanted = {} if finalists is None else asdict(finalists)
    return {name: held.get(name) for name in names} == {name: wanted.get(name) for name in names}


def _leaders(recorder: Recorder, number: int) -> dict[int, Architecture]:
    """Return the different architectures of highest reward, by the episode of their best one."""
    records = read_episodes(recorder.folder.path / EPISODES, EPISODE)
    ranked = sorted(
        (record for record in records if record["status"] == "ok" and not is_partial(record)),
        key=lambda record: (-record["reward"], record["episode"]),
    )
    leaders: dict[str, tuple[int, Architecture]] = {}
    for record in ranked:
        architecture = Architecture.from_json(record["architecture"])
        leaders.setdefault(architecture.key, (record["episode"], architecture))
        if len(leaders) == number:
            break
    return dict(leaders.values())
