"""Connections of the contenders: pooled, committing each statement, and preparing it at its first use."""

from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

OPTIONS: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


def connections(url: str, most: int) -> "ConnectionPool[Any]":
    """Return a pool of at most so many connections; threads may share it."""
    return ConnectionPool(url, kwargs=OPTIONS, min_size=1, max_size=most, open=True)
