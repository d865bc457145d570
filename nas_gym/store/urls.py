"""URLs of stores: which there can be, and how they are written down without passwords."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.outside.json_text import short


def parse_url(url: str | Path) -> sa.URL:
    """Return the URL of a store's database; `InvalidSettings` says why there can be no store."""
    require(
        isinstance(url, (str, Path)) and str(url) != "" and "\0" not in str(url),
        f"store: expected a file or an URL, got {short(url)}",
    )
    if isinstance(url, Path) or "://" not in url:
        parsed = sa.URL.create("sqlite", database=os.path.expanduser(url))
    else:
        try:
            parsed = sa.make_url(url)
            if "@" in (parsed.host or ""):
                raise ValueError("a part of the password would be taken for the host")
        except (exc.ArgumentError, ValueError) as error:
            raise InvalidSettings(
                f"store: {url.partition('://')[0]}://... is no URL that can be read; expected "
                "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, in a password %40 "
                "for @"
            ) from error
    backend = parsed.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        hint = choices_hint(backend, ("sqlite", "postgresql"))
        raise InvalidSettings(f"store: {backend!r} is no database for a store; {hint}")
    require(
        parsed.database not in (None, "", ":memory:") and not parsed.query,
        "store: a store needs a file; expected its name, or sqlite:///FILE without options",
    )
    return parsed.set(drivername="sqlite")


_SECRET_OPTIONS = ("password", "sslpassword", "passfile")


def secrets(url: sa.URL) -> list[str]:
    """Return the passwords in a URL."""
    options = [url.normalized_query.get(name, ()) for name in _SECRET_OPTIONS]
    return [secret for secret in (str(url.password or ""), *chain(*options)) if secret]


def without_passwords(url: sa.URL) -> str:
    """Return a URL as it may be written down, with *** for each password in it."""
    hidden = {name: "***" for name in _SECRET_OPTIONS if name in url.query}
    shown = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", "***")
