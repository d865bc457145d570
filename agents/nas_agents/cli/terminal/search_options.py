"""From the options of ``nas-gym search`` to the settings of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_agents.catalogue.presets import with_preset
from nas_agents.runs.reading import has_run
from nas_agents.runs.settings import (
    BUDGETS,
    OF_ENV,
    SearchSettings,
    load_record,
    require_given_again,
    resumed_settings,
)
from nas_gym.errors import require

_NOT_SETTINGS = {"run", "resume", "verify", "callbacks", "as_json"}


def settings_from(given: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of a search, new or resumed.

    ``given`` are the options that the user gave, by the names of the command's arguments.
    """
    values = _settings_values(given)
    preset = values.pop("preset", None)
    if preset is not None:
        values = with_preset(preset, values)
    run = given.get("run")
    if given.get("resume") or given.get("verify"):
        require(run is not None, "resume: say which run, by --run DIR")
        assert run is not None
        if has_run(run) or "env_id" not in values:
            saved, _ = load_record(run)
            require_given_again(saved, values, run)
            return resumed_settings(saved, values)
    require("env_id" in values, "environment: name one; see `nas-gym envs`")
    if preset is None and set(BUDGETS) & set(values):
        values.setdefault("episodes", None)  # that limit alone
    return SearchSettings(**values)


def _settings_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as fields of `SearchSettings`, without those that were not given."""
    values = {name: value for name, value in given.items() if name not in _NOT_SETTINGS}
    of_env = {name: values.pop(name) for name in OF_ENV if name in values}
    of_env |= values.pop("env_arguments", {})
    return {**values, "env_arguments": of_env} if of_env else values
