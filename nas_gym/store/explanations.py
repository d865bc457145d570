"""A database's errors in words that users can act on."""

from __future__ import annotations

from sqlalchemy import exc

_KEPT = "what was recorded before is kept"
_EXPLANATIONS = (
    (("database or disk is full", "53100"), f"has no space left: free some; {_KEPT}"),
    (("database is locked", "55P03"), "is locked by another process: wait for it, or end it"),
    (
        ("malformed", "not a database", "decode", "parse datetime", "XX001", "XX002"),
        "is corrupt, or no database: put a copy in its place, save what can be read with "
        "`sqlite3 FILE .recover`, or name another store",
    ),
    (("readonly database", "25006"), "cannot be written: check its permissions, or copy it"),
    (
        ("unable to open database file",),
        "cannot be opened: check that its folder exists, and its permissions",
    ),
    (
        ("disk I/O error",),
        f"cannot be read or written: check its disk (a network's will not do); {_KEPT}",
    ),
    (("already exists",), "has a table of this name already, of something else: name another"),
    (
        ("no such column", "no such table", "no column named", "42703", "42P01"),
        "has tables of something else: name another store",
    ),
    (("53300",), "has too many connections: close some, or raise its max_connections"),
    (("42501",), "does not grant what is needed: give this user the rights on its schema"),
)
"""Parts of a database's message, or PostgreSQL's codes of errors, and the text for users."""


def explain(error: Exception) -> str:
    """Return what happened and the remedy, then the database's own words."""
    cause = getattr(error, "orig", None) or error
    words = " ".join(str(cause).split())
    text = f"{getattr(cause, 'sqlstate', '')} {words}"
    for signs, explanation in _EXPLANATIONS:
        if any(sign in text for sign in signs):
            return f"{explanation} ({words})"
    if isinstance(error, exc.DBAPIError) and is_gone(error):
        return f"cannot be reached: check the URL, and that the server runs ({words})"
    return f"failed ({words})"


def is_gone(error: exc.DBAPIError) -> bool:
    """Return whether a PostgreSQL server cannot be reached, went away, or is starting up."""
    state = getattr(error.orig, "sqlstate", "")  # None where there is no connection to have one
    gone = state is None or error.connection_invalidated or state.startswith(("08", "57P"))
    return gone and isinstance(error, (exc.InterfaceError, exc.OperationalError))
