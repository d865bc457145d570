"""Code that runs inside a worker: it evaluates one child, and survives what the child does."""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Status
from nas_gym.evaluation.evaluator import ChildEvaluator, at_epochs
from nas_gym.outside.processes import SLOW_IMPORT
from nas_gym.training.failures import is_out_of_memory
from nas_gym.training.network_trainer import DeviceTraining
from nas_gym.workers.protocol import Answer, Place, WorkersFailed, failed_evaluations

FREE_SHARE = 0.95
"""Share of a GPU's free memory that children get; allocators lose some between their blocks."""


def made_ready(threads: int, load: Callable[[], ChildEvaluator]) -> ChildEvaluator:
    """Set a worker's threads; return the loaded evaluator, or raise `WorkersFailed`."""
    torch.set_num_threads(threads)
    importlib.import_module(SLOW_IMPORT)
    try:
        return load()
    except Exception as error:
        raise WorkersFailed(f"workers: they cannot load the evaluator: {error!r}") from error


def place_of(evaluator: object, machine: str = "") -> Place:
    """Return where a worker trains, and the memory that is free there beside its data set."""
    device = cuda_device(evaluator)
    if device is None:
        return Place(machine)
    name = f"{machine} {os.environ.get('CUDA_VISIBLE_DEVICES', device)}"
    if not torch.cuda.is_available():  # the evaluator trains elsewhere than it says
        return Place(name)
    if isinstance(evaluator, DeviceTraining):
        evaluator.task.load()
    return Place(name, FREE_SHARE * torch.cuda.mem_get_info(device)[0])


def answer_for(
    evaluator: Any,
    architecture: bytes,
    repeats: Sequence[int],
    epochs: int | None = None,
    limit: float | None = None,
) -> Answer:
    """Evaluate repeats of a child; an exception of any kind becomes a status.

    ``limit`` is the number of bytes that it may use on a GPU beside what the worker holds there; it
    gives its memory back.
    """
    device = cuda_device(evaluator)
    if device is None or not torch.cuda.is_available():
        return _answer(evaluator, architecture, repeats, epochs)
    index = torch.cuda.current_device() if device.index is None else device.index
    total, held = torch.cuda.mem_get_info(index)[1], torch.cuda.memory_reserved(index)
    share = 1.0 if limit is None else min(1.0, (held + limit) / total)
    torch.cuda.set_per_process_memory_fraction(share, index)
    answer = _answer(evaluator, architecture, repeats, epochs)
    gc.collect()  # networks have references in circles
    with suppress(RuntimeError):  # after a kernel that crashed
        torch.cuda.empty_cache()
    return answer


def _answer(
    evaluator: Any, architecture: bytes, repeats: Sequence[int], epochs: int | None
) -> Answer:
    child: Architecture = pickle.loads(architecture)
    started = time.perf_counter()
    try:
        if len(repeats) > 1:
            evaluations = evaluator.evaluate_repeats(child, repeats, **at_epochs(epochs))
        else:
            evaluations = [evaluator.evaluate_one(child, repeats[0], **at_epochs(epochs))]
    except BaseException as error:
        memory = isinstance(error, Exception) and is_out_of_memory(error)
        status: Status = "out_of_memory" if memory else "crashed"
        message = f"{type(error).__name__}: {error}"
        evaluations = failed_evaluations(
            evaluator, child, repeats, status, started, message, epochs
        )
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
