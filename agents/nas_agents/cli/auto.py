"""``nas-gym auto``: from data to a model, in a given time, by rules."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from nas_agents.cli.terminal.common import DEVICE, EXIT_INTERRUPTED, Json, complain, print_result


def auto(
    dataset: Annotated[str, Argument(help="A folder of images, an .npz file, or a name.")],
    minutes: Annotated[float, Option(help="Time for everything.")] = 30.0,
    target_accuracy: Annotated[
        float | None, Option(help="Stop the search at this validation accuracy.")
    ] = None,
    device: Annotated[str, DEVICE] = "auto",
    seed: Annotated[int, Option(help="Of the agent and of all trainings.")] = 0,
    run: Annotated[
        Path | None, Option(help="The run folder; new, unless --resume is given.")
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the run in --run, with the time that is left.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a model of your data in a given time.

    Rules choose the image size, the search space, the children and the final training by the data
    and by the speed of this machine, and each choice is printed: see docs/train.md.
    """
    begun = time.monotonic()  # the imports take seconds
    from nas_agents.auto import run_auto
    from nas_agents.auto.record import Interrupted
    from nas_agents.cli.terminal.display import Display
    from nas_agents.runs.settings import SearchSettings

    shown = SearchSettings("auto", episodes=None, seconds=60 * max(minutes, 0.01))
    try:
        with Display(shown) as display:
            result = run_auto(
                *(dataset, minutes, target_accuracy, device, seed, run, [display], resume, begun)
            )
    except KeyboardInterrupt as interrupted:
        again = ""
        if isinstance(interrupted, Interrupted):
            options = {"minutes": f"{minutes:g}", "seed": seed, "target-accuracy": target_accuracy}
            options |= {"run": interrupted.args[0]}
            given = [f"--{name}={value}" for name, value in options.items() if value is not None]
            again = f"; go on with: nas-gym auto {shlex.join([dataset, *given])} --resume"
        complain(f"interrupted{again}")
        raise Exit(EXIT_INTERRUPTED) from None
    facts = result.facts()
    children = f"{facts['children']} children" if result.plan.search_seconds else "no search"
    lines = [
        f"{children}, final training: {facts['epochs']} epochs, {result.seconds:.0f} s in all",
        f"test accuracy {facts['test_accuracy']:.2%} of {facts['test_images']:,} images, "
        f"{facts['parameters']:,} parameters",
        *(f"{name}: {path}" for name, path in result.files.items()),
        f"use it: nas-gym predict {shlex.quote(str(result.run))} IMAGE...",
        *result.notes,
    ]
    print_result(facts, "\n".join(lines), as_json)
