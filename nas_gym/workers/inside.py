"""Code that runs inside a worker: it evaluates one child, and survives what the child does."""

from __future__ import annotations

import importlib
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Status
from nas_gym.evaluation.evaluator import ChildEvaluator, at_epochs
from nas_gym.training.failures import is_out_of_memory
from nas_gym.workers.protocol import Answer, WorkersFailed, failed_evaluation

SLOW_IMPORT = "torch._dynamo"
"""An optimizer imports it in its first step, and takes as long over it as over torch itself: that
is no part of the first child's time."""


def made_ready(threads: int, load: Callable[[], ChildEvaluator]) -> ChildEvaluator:
    """Set a worker's threads; return the loaded evaluator, or raise `WorkersFailed`."""
    torch.set_num_threads(threads)
    importlib.import_module(SLOW_IMPORT)
    try:
        return load()
    except Exception as error:
        raise WorkersFailed(f"workers: they cannot load the evaluator: {error!r}") from error


def answer_for(
    evaluator: Any, architecture: bytes, repeats: Sequence[int], epochs: int | None = None
) -> Answer:
    """Evaluate repeats of a child; an exception of any kind becomes a status."""
    child: Architecture = pickle.loads(architecture)
    started = time.perf_counter()
    try:
        if len(repeats) > 1:
            evaluations = evaluator.evaluate_repeats(child, repeats)
        else:
            evaluations = [evaluator.evaluate_one(child, repeats[0], **at_epochs(epochs))]
    except BaseException as error:
        memory = isinstance(error, Exception) and is_out_of_memory(error)
        status: Status = "out_of_memory" if memory else "crashed"
        message = f"{type(error).__name__}: {error}"
        evaluations = [
            failed_evaluation(evaluator, child, repeat, status, started, message, epochs)
            for repeat in repeats
        ]
    crashed = any(evaluation.status == "crashed" for evaluation in evaluations)
    return evaluations, not crashed or _cuda_works()


def _cuda_works() -> bool:
    """Return whether CUDA can be used: a kernel that crashed disables it for its whole process."""
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def cuda_device(evaluator: object) -> torch.device | None:
    """Return the CUDA device that an evaluator names as its ``device``, if it does."""
    device = getattr(evaluator, "device", None)
    return device if isinstance(device, torch.device) and device.type == "cuda" else None
