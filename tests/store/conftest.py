"""One PostgreSQL server for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgresql import NoServer, Server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgresql)")
    try:
        server = Server()
    except NoServer as error:
        pytest.skip(str(error))
    with server:
        yield server
