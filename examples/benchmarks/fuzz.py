"""Does any malformed input end in a traceback, a hang or a kill? Thousands of them, from a seed.

    python examples/benchmarks/fuzz.py --inputs 5000 --seed 0
    python examples/benchmarks/fuzz.py --seed 0 --only 1234

The second line repeats one input, the one that the first line reports as ``--seed 0 --only 1234``,
and shows its files and all that it prints; an input follows from its seed and its number alone.

Command lines, files and Python calls (`fuzzing`) run one by one, each in a process of its own
whose memory, files and time are limited; it is forked from this one, in which everything is
imported, and has the rights of a plain user. An input fails if it ends otherwise than with exit
code 0, 1, 2 or 130 and at most one line that says what is wrong, hangs, changes a file that it only
had to read, loses a finished search's summary, or touches the folder ``outside``, to which links
and a stranger's settings lead. It hangs if it takes over 20 s of processors, its workers' included,
or waits for over 20 s; a busy machine makes no hang of an input that goes on. The failures are
printed by kind, and the exit code is 1 if there is one.

Linux only. 5,000 inputs take some twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.benchmarks.fuzzing.inputs import Input, make_input
from examples.benchmarks.fuzzing.process import TIMEOUT, names, start
from examples.benchmarks.fuzzing.samples import make_samples
from examples.benchmarks.fuzzing.verdict import Outcome, digests_of, outcome_of

SLOWEST = 3
"""Seconds that a busy machine takes for one of its processors, at most."""


def run_inputs(
    inputs: Iterable[tuple[int, Input]], folder: Path, jobs: int = 1, timeout: float = TIMEOUT
) -> Iterator[Outcome]:
    """Yield the outcome of each input, ``jobs`` of which run at a time."""
    waiting = iter(inputs)
    running: dict[int, tuple[int, Input, Path, dict[str, str], float]] = {}
    while True:
        while len(running) < jobs and (following := next(waiting, None)) is not None:
            number, given = following
            own = folder / f"{number}"
            pid = start(given, own)
            running[pid] = (number, given, own, digests_of(given), time.monotonic())
        if not running:
            return
        for pid, (number, given, own, before, began) in list(running.items()):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended == 0 and not _hangs(pid, time.monotonic() - began, timeout):
                continue
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # workers that it left behind, too
            if ended == 0:
                os.kill(pid, signal.SIGKILL)  # it may have no group yet
                _, _, usage = os.wait4(pid, 0)
            del running[pid]
            code = None if ended == 0 else os.waitstatus_to_exitcode(status)
            yield outcome_of(number, given, own, before, usage.ru_utime + usage.ru_stime, code)
            shutil.rmtree(own, ignore_errors=True)
        time.sleep(0.002)


def _hangs(group: int, elapsed: float, timeout: float) -> bool:
    """Return whether processes that started ``elapsed`` seconds ago hang; see above."""
    if elapsed < timeout:
        return False
    used = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            used += sum(map(int, fields[11:15])) if int(fields[2]) == group else 0
    processors = used / os.sysconf("SC_CLK_TCK")
    return processors >= timeout or elapsed - SLOWEST * processors >= timeout


def report(outcomes: list[Outcome], seed: int) -> None:
    """Print the time that each kind of input took, then the failures, with the shortest of each."""
    seconds: dict[str, list[float]] = defaultdict(list)
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        seconds[outcome.input.kind.partition(": ")[0]].append(outcome.seconds)
        if outcome.wrong:
            by_kind[outcome.wrong].append(outcome)
    for kind, times in sorted(seconds.items(), key=lambda item: -sum(item[1])):
        print(f"{sum(times):8.1f} s of processors for {len(times):5,} x {kind}")
    for wrong, alike in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        shortest = min(alike, key=lambda outcome: len(str(outcome.input)))
        print(f"- {len(alike)} x {wrong}\n  {shortest}\n  --seed {seed} --only {shortest.number}")
    failures = sum(map(len, by_kind.values()))
    print(f"{len(outcomes)} inputs, {failures} failures of {len(by_kind)} kinds")


def prepare() -> None:
    """Limit this process, which others are forked from, to one thread and no accelerator."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "SDL_VIDEODRIVER": "dummy"}
    torch.set_num_threads(1)
    names()


def main() -> None:
    """Try all inputs, and print the failures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds until one hangs")
    parser.add_argument("--only", type=int, help="repeat this input alone, and show its output")
    given = parser.parse_args()
    prepare()
    last = given.first + given.inputs
    numbers = [given.only] if given.only is not None else [*range(given.first, last)]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        samples = make_samples(folder)
        inputs = ((number, make_input(given.seed, number, samples)) for number in numbers)
        outcomes = []
        for outcome in run_inputs(inputs, folder / "inputs", given.jobs, given.timeout):
            outcomes.append(outcome)
            if outcome.wrong:
                print(f"{outcome.number}: {outcome.wrong}\n  {outcome}", flush=True)
            if given.only is not None:
                print(outcome.input, outcome.input.files, outcome.output, sep="\n")
            if len(outcomes) % 250 == 0:
                print(f"{len(outcomes)} inputs", file=sys.stderr, flush=True)
        report(outcomes, given.seed)
    if any(outcome.wrong for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
