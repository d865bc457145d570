"""``nas-gym auto``: from data to a model, in a given time, by rules."""

from __future__ import annotations

import shlex
import time
from typing import Any

from click import argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import EXIT_INTERRUPTED, interrupted, print_result, stop
from nas_gym.errors import counted


@command()
@argument("dataset")
@option("--minutes", default=30.0, help="Time for everything, at least 0.5.")
@option("--target-accuracy", type=float, help="Stop the search at this validation accuracy.")
@options.device(default="auto")
@option("--seed", default=0, help="Seed of the agent and of all trainings.")
@option("--run", type=options.PATH, help="The run folder; new, unless --resume is given.")
@option("--resume", is_flag=True, help="Go on with the run in --run, with the time that is left.")
@options.as_json
def auto(as_json: bool, **given: Any) -> None:
    """Make a model of your data in a given time.

    DATASET is a folder of images, an .npz file, or a name. Rules choose the image size, the search
    space, the children and the final training by the data and by the speed of this machine, and
    each choice is printed: see docs/train.md.
    """
    begun = time.monotonic()  # the imports take seconds
    from nas_agents.auto import run_auto
    from nas_agents.auto.record import Interrupted
    from nas_agents.cli.terminal.display import Display
    from nas_agents.runs.settings import SearchSettings

    shown = SearchSettings("auto", episodes=None, seconds=60 * max(given["minutes"], 0.01))
    try:
        with Display(shown) as display:
            result = run_auto(**given, callbacks=[display], begun=begun)
    except Interrupted as error:
        interrupted(f"go on with: {_again(given, *error.args)}")
    except KeyboardInterrupt:
        stop("interrupted", EXIT_INTERRUPTED)
    facts = result.facts()
    children = counted(facts["children"], "child") if result.plan.search_seconds else "no search"
    lines = [
        f"{children}, final training: {counted(facts['epochs'], 'epoch')}, "
        f"{result.seconds:.0f} s in all",
        f"test accuracy {facts['test_accuracy']:.2%} of {facts['test_images']:,} images, "
        f"{facts['parameters']:,} parameters",
        *(f"{name}: {path}" for name, path in result.files.items()),
        f"use it: nas-gym predict {shlex.quote(str(result.run))} IMAGE...",
        *result.notes,
    ]
    print_result(facts, "\n".join(lines), as_json)


def _again(given: dict[str, Any], run: str) -> str:
    """Return the command that goes on with an interrupted run."""
    values = {"minutes": given["minutes"], "seed": given["seed"]}
    values |= {"target-accuracy": given["target_accuracy"], "run": run}
    words = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return f"nas-gym auto {shlex.join([given['dataset'], *words])} --resume"
