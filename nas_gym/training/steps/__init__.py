"""The steps of a training and of its validation: losses, optimizers, and CUDA graphs of both."""

from nas_gym.training.steps.graphs import Graph as Graph
from nas_gym.training.steps.graphs import NotCaptured as NotCaptured
from nas_gym.training.steps.optimizers import backward as backward
from nas_gym.training.steps.optimizers import descend as descend
from nas_gym.training.steps.optimizers import flattened as flattened
from nas_gym.training.steps.optimizers import make_optimizer as make_optimizer
from nas_gym.training.steps.optimizers import make_scaler as make_scaler
from nas_gym.training.steps.optimizers import parameter_groups as parameter_groups
from nas_gym.training.steps.optimizers import schedule as schedule
from nas_gym.training.steps.optimizers import sgd as sgd
from nas_gym.training.steps.optimizers import update as update
from nas_gym.training.steps.recalibration import recalibrate as recalibrate
from nas_gym.training.steps.training import TrainingSteps as TrainingSteps
from nas_gym.training.steps.training import batch_loss as batch_loss
from nas_gym.training.steps.validation import accuracy_of as accuracy_of
from nas_gym.training.steps.validation import count_right as count_right
from nas_gym.training.steps.validation import equal_batches as equal_batches
