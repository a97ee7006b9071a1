"""Settings for a command: the environment with the command's options over it, or one sentence for each wrong one."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from modelyard.settings import Settings


def fail(message: str) -> NoReturn:
    """End the program with a message for a person."""
    sys.stderr.write(f"{message}\n")
    raise SystemExit(2)


def settings_for(overrides: Mapping[str, Any]) -> "tuple[Settings, dict[str, str]]":
    """(the settings, the environment that yields them: what a worker process is started with)"""
    # Imported here, because reading settings takes pydantic and structlog, and `--help` reads none.
    from modelyard.core import log
    from modelyard.settings import (
        NOT_ENFORCED,
        Settings,
        SettingsError,
        load,
        read_environment,
        switched_off,
        unknown_names,
    )

    environment = read_environment()
    try:
        settings = load(overrides, environment)
    except SettingsError as error:
        fail(f"Modelyard does not start, because of its settings:\n{error}")
    log.configure(settings.log_level)
    for name in unknown_names(environment):
        log.get(__name__).warning("a setting that Modelyard does not know", name=name)
    for name, reason in NOT_ENFORCED.items():
        if name in environment:
            log.get(__name__).warning("a setting that has no effect", name=name, reason=reason)
    environment = {**switched_off(), **environment}
    for name, value in overrides.items():
        alias = Settings.model_fields[name].alias
        if value is not None and alias is not None:
            environment[alias] = str(value).lower() if isinstance(value, bool) else str(value)
    return settings, environment
