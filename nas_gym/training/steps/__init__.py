"""The steps of a training and of its validation: losses, optimizers, and CUDA graphs of both."""

from nas_gym.training.steps.graphs import Graph, NotCaptured
from nas_gym.training.steps.optimizers import (
    backward,
    descend,
    flattened,
    make_optimizer,
    make_scaler,
    parameter_groups,
    schedule,
    sgd,
    update,
)
from nas_gym.training.steps.training import TrainingSteps, batch_loss
from nas_gym.training.steps.validation import accuracy_of, count_right, equal_batches

__all__ = [
    "Graph",
    "NotCaptured",
    "TrainingSteps",
    "accuracy_of",
    "backward",
    "batch_loss",
    "count_right",
    "descend",
    "equal_batches",
    "flattened",
    "make_optimizer",
    "make_scaler",
    "parameter_groups",
    "schedule",
    "sgd",
    "update",
]
