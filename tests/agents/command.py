"""The command ``nas-gym``, in the tests' own process."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner, Result

from nas_agents.cli.main import app


def nas_gym(*arguments: object, **how: Any) -> Result:
    """Return what the command did; ``how`` is what `CliRunner.invoke` takes."""
    return CliRunner().invoke(app, [str(each) for each in arguments], **how)
