"""Code that runs inside a worker: it evaluates one child, and survives what the child does."""

from __future__ import annotations

import pickle
import time

import torch

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Status
from nas_gym.evaluation.evaluator import ChildEvaluator
from nas_gym.training.failures import is_out_of_memory
from nas_gym.workers.protocol import Answer, failed_evaluation

SLOW_IMPORT = "torch._dynamo"
"""An optimizer imports it in its first step, and takes as long over it as over torch itself: that
is no part of the first child's time."""


def answer_for(evaluator: ChildEvaluator, architecture: bytes, repeat: int) -> Answer:
    """Evaluate a child; an exception of any kind becomes a status."""
    child: Architecture = pickle.loads(architecture)
    started = time.perf_counter()
    try:
        evaluation = evaluator.evaluate_one(child, repeat)
    except BaseException as error:
        memory = isinstance(error, Exception) and is_out_of_memory(error)
        status: Status = "out_of_memory" if memory else "crashed"
        message = f"{type(error).__name__}: {error}"
        evaluation = failed_evaluation(evaluator, child, repeat, status, started, message)
    return evaluation, evaluation.status != "crashed" or _cuda_works()


def _cuda_works() -> bool:
    """Return whether CUDA can be used: a kernel that crashed disables it for its whole process."""
    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
