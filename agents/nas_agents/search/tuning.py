"""Tuning of a final training's settings by Optuna: TPE proposes, ASHA stops what falls behind.

ASHA is asynchronous successive halving (Li et al. 2020, https://arxiv.org/abs/1810.05934), Optuna's
`SuccessiveHalvingPruner`. A trial trains on the training split and is worth its accuracy on the
validation split; the test split is never seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nas_agents.search.final import FinalTraining
from nas_gym import Architecture
from nas_gym.data.dataset import Dataset
from nas_gym.errors import InvalidSettings, require
from nas_gym.outside.files import refuse_links
from nas_gym.training.failures import Diverged, is_out_of_memory
from nas_gym.training.fingerprint import digest
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import TrainingSettings

JOURNAL, JOURNAL_LOCK = "tuning.log", "tuning.log.lock"
"""Optuna's journal, and the start of the names of its locks."""
SHARES = 27
"""Steps at which trials are compared, in each the same share of a training; ASHA stops them after
the third and the ninth, so that those of fewer epochs have no advantage."""
BATCHES = (16, 32, 64, 128, 256)
MOST_DECAY = 1e-4
"""The largest weight decay that is tried where there is none."""
INTERRUPTED = "interrupted"
"""Mark of a trial that Ctrl-C ended, which Optuna counts among those that failed."""


def tuned(
    architecture: Architecture,
    final: FinalTraining,
    trials: int,
    folder: Path,
    on_trial: Callable[[int, float | None, Mapping[str, Any]], None] = lambda *_: None,
) -> FinalTraining:
    """Return a final training with the best settings of a number of trials.

    Learning rate, weight decay, batch size, epochs (at most those of ``final``), and augmentation:
    padding of crops, cutout, label smoothing. The first trial is that of the settings as they are,
    which are returned unless another is better.

    Args:
        architecture: The architecture.
        final: The final training.
        trials: Number of trials, those included that an interrupted call with this folder and the
            same settings ended.
        folder: Where the trials are kept, in Optuna's journal ``tuning.log``.
        on_trial: Called after each with its number, its accuracy (None if it was stopped or
            failed), and its settings.

    Raises:
        OSError: the journal cannot be written.
    """
    require(isinstance(final.dataset, Dataset), "tune: it tunes trainings on images alone")
    learns = "tune: learning_rate: expected more than 0, by whose multiples others are tried"
    require(final.settings.learning_rate > 0, learns)
    subject = {"architecture": architecture.key, "data": final.dataset.digest}
    optuna, study = _optuna(), _study(digest(**subject, training=asdict(final.settings)), folder)
    # An interrupted call drew the first numbers of another seed
    seed = child_seed(final.settings.seed, architecture) + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
    ended = [trial for trial in study.trials if _has_ended(trial)]
    waiting = study.get_trials(states=[optuna.trial.TrialState.WAITING])
    if not waiting and all(trial.params != _as_they_are(final) for trial in ended):
        study.enqueue_trial(_as_they_are(final))
    known: Any = final.settings

    def objective(trial: Any) -> float:
        settings = replace(known, **_proposed(trial, final))
        try:
            return _validated(architecture, final, settings, trial)
        except KeyboardInterrupt:
            trial.set_user_attr(INTERRUPTED, True)
            raise

    def report(study: Any, trial: Any) -> None:
        whole = trial.state == optuna.trial.TrialState.COMPLETE
        on_trial(trial.number + 1, trial.value if whole else None, trial.params)

    failures = (Diverged, optuna.TrialPruned)
    study.optimize(objective, max(0, trials - len(ended)), callbacks=[report], catch=failures)
    if not study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        return final  # each of them failed
    return replace(final, settings=replace(known, **study.best_trial.params))


def _study(name: str, folder: Path) -> Any:
    """Return the study that the folder keeps under a name, a new one if there is none."""
    optuna = _optuna()
    folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder / JOURNAL)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    return optuna.create_study(
        study_name=name,
        storage=optuna.storages.JournalStorage(backend),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
        direction="maximize",
        load_if_exists=True,
    )


def _has_ended(trial: Any) -> bool:
    return bool(trial.state.is_finished()) and INTERRUPTED not in trial.user_attrs


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415  # an extra
    except ImportError:
        raise InvalidSettings("tune: it needs Optuna: pip install 'nas-gym[optuna]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # lines of its own are not wanted
    return optuna


def _choices(final: FinalTraining) -> dict[str, list[Any]]:
    """Return the choices of each setting that has some, with the settings as they are among them.

    Padding and cutout are in pixels of the images.
    """
    settings: Any = final.settings
    side = min(final.dataset.images.shape[1:3])  # type: ignore[attr-defined]
    augmentation = settings.augmentation(final.dataset, final=True)
    padding = {0, max(1, side // 8), max(1, side // 4), augmentation.padding}
    epochs = settings.epochs
    least = settings.warmup_epochs + 1
    known = {
        "batch_size": [*BATCHES, settings.batch_size],
        "epochs": [max(least, math.ceil(epochs / 4)), max(least, math.ceil(epochs / 2)), epochs],
        "crop_padding": [0] if settings.resized_crop else padding,
        "cutout": [0, side // 4, side // 2, settings.cutout],
        "label_smoothing": [0.0, 0.1, settings.label_smoothing],
    }
    return {name: sorted(set(values)) for name, values in known.items()}


def _as_they_are(final: FinalTraining) -> dict[str, Any]:
    """Return the settings as the parameters of a trial."""
    settings: Any = final.settings
    names = ("learning_rate", "weight_decay", *_choices(final))
    asked = {name: getattr(settings, name) for name in names}
    return asked | {"crop_padding": settings.augmentation(final.dataset, final=True).padding}


def _proposed(trial: Any, final: FinalTraining) -> dict[str, Any]:
    """Return the settings that a trial proposes."""
    settings: Any = final.settings
    rate, decay = settings.learning_rate, settings.weight_decay
    decays: Any = {"low": decay / 10, "high": 10 * decay or MOST_DECAY, "log": decay > 0}
    return {
        "learning_rate": trial.suggest_float("learning_rate", rate / 10, rate * 10, log=True),
        "weight_decay": trial.suggest_float("weight_decay", **decays),
        **{name: trial.suggest_categorical(name, v) for name, v in _choices(final).items()},
    }


def _validated(
    architecture: Architecture, final: FinalTraining, settings: TrainingSettings, trial: Any
) -> float:
    """Train on the training split, and return the accuracy on the validation split at the end.

    Raises:
        TrialPruned: it fell behind, or does not fit into the memory.
    """
    trainer = NetworkTrainer(final.dataset, settings, final.device)
    accuracy = 0.0
    try:
        with trainer.isolated(child_seed(settings.seed, architecture)):
            network = trainer.build(architecture)
            for epoch, accuracy in enumerate(trainer.fit(network), start=1):
                share, after = (
                    math.ceil(SHARES * each / settings.epochs) for each in (epoch, epoch + 1)
                )
                if share == after:  # it has more epochs
                    continue
                trial.report(accuracy, share)
                if epoch < settings.epochs and trial.should_prune():
                    raise _optuna().TrialPruned
    except Exception as error:
        if is_out_of_memory(error):
            raise _optuna().TrialPruned from error
        raise
    return accuracy
