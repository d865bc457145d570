"""The tables of a store's database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column


class _Time(sa.TypeDecorator[datetime]):
    """A time whose text nobody has checked: one that is none comes back as it is."""

    impl, cache_ok, python_type = sa.DateTime, True, datetime

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        parse = super().result_processor(dialect, coltype)

        def parsed(value: Any) -> Any:
            try:
                return parse(value) if parse else value
            except (ValueError, TypeError):
                return value

        return parsed


metadata = sa.MetaData()
EVALUATIONS = sa.Table(
    "evaluations",
    metadata,
    Column("key", sa.Text, primary_key=True),
    Column("fingerprint", sa.Text, primary_key=True),
    Column("repeat", sa.Integer, primary_key=True),
    Column("scope", sa.Text, primary_key=True),
    Column("status", sa.Text, nullable=False),
    Column("accuracy", sa.Double, nullable=False),
    Column("curve", sa.Text, nullable=False),
    Column("seconds", sa.Double, nullable=False),
    Column("seed", sa.BigInteger, nullable=False),
    Column("parameters", sa.BigInteger),
    Column("multiply_adds", sa.BigInteger),
    Column("latency", sa.Double),
    Column("message", sa.Text, nullable=False),
    Column("architecture", sa.Text, nullable=False),
    Column("run", sa.Text, nullable=False),
    Column("worker", sa.Text, nullable=False),
    Column("time", _Time, nullable=False),
    Column("test_accuracy", sa.Double),
    Column("metric", sa.Text, nullable=False),
    Column("value", sa.Double),
    Column("peak_activation_bytes", sa.BigInteger),
    Column("energy", sa.Double),
)
"""One row an evaluation; see `nas_gym.store.store`."""
SCHEMA = sa.Table("evaluations_schema", metadata, Column("version", sa.Integer, nullable=False))
VERSION = 6
"""Version of these tables; a store of another one is refused."""
