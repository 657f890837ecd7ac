"""The simulator's books: what it charged, and the answer it gave under each key. They survive a kill."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from uuid_utils import uuid7

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS charges (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        reference TEXT NOT NULL UNIQUE,
        order_id TEXT NOT NULL,
        currency TEXT NOT NULL,
        method TEXT NOT NULL,
        authorized INTEGER NOT NULL,
        held INTEGER NOT NULL CHECK (held >= 0),
        captured INTEGER NOT NULL DEFAULT 0 CHECK (captured <= authorized),
        refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded <= captured)
    );
    CREATE INDEX IF NOT EXISTS charges_of_an_order ON charges (order_id);
    CREATE TABLE IF NOT EXISTS calls (
        key TEXT PRIMARY KEY,
        operation TEXT NOT NULL,
        arguments TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reference TEXT NOT NULL,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS calls_of_a_charge ON calls (reference);
    CREATE TABLE IF NOT EXISTS turned_away (key TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call; `first` if this very call did it, and not an earlier one under its key."""

    outcome: str
    reference: str = ""
    code: str = ""
    detail: str = ""
    first: bool = True


def refused(code: str, detail: str, reference: str = "") -> Answer:
    """Return a refusal."""
    return Answer("refused", reference, code, detail)


class Books:
    """All charges and calls, in one SQLite file. Each call is one transaction; one thread makes them."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        # NORMAL: what was answered outlives the process. Only if the machine dies may the last charges be lost.
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;" + _SCHEMA
        )

    def authorize(
        self,
        key: str,
        *,
        order_id: str,
        amount: int,
        currency: str,
        method: str,
        refusal: tuple[str, str] | None,
    ) -> Answer:
        """Hold the amount, or note the refusal."""

        def effect() -> Answer:
            if refusal:
                return refused(*refusal)
            reference = f"auth_{uuid7().hex}"  # they follow each other, and so do their places in the indexes
            self._db.execute(
                "INSERT INTO charges (reference, order_id, currency, method, authorized, held)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (reference, order_id, currency, method, amount, amount),
            )
            return Answer("approved", reference)

        return self._once(key, "authorize", [order_id, amount, currency, method], effect)

    def capture(self, key: str, *, reference: str, amount: int, currency: str) -> Answer:
        """Take held money."""

        def effect(charge: sqlite3.Row) -> Answer:
            if charge["held"] < amount or charge["currency"] != currency:
                return refused("not_held", "The amount is not held.", reference)
            return self._change("held = 0, captured = ?", amount, reference)

        return self._on_charge(key, "capture", reference, [amount, currency], effect)

    def void(self, key: str, *, reference: str) -> Answer:
        """Let held money go."""

        def effect(charge: sqlite3.Row) -> Answer:
            if charge["captured"]:
                return refused("captured", "The money was captured: refund it.", reference)
            return self._change("held = ?", 0, reference)

        return self._on_charge(key, "void", reference, [], effect)

    def refund(self, key: str, *, reference: str, amount: int, currency: str) -> Answer:
        """Give captured money back."""

        def effect(charge: sqlite3.Row) -> Answer:
            if charge["captured"] - charge["refunded"] < amount or charge["currency"] != currency:
                return refused("exceeds_captured", "More than was captured and not yet refunded.", reference)
            return self._change("refunded = refunded + ?", amount, reference)

        return self._on_charge(key, "refund", reference, [amount, currency], effect)

    def lookup(self, key: str) -> Answer | None:
        """Return the answer given under `key`."""
        row = self._call(key)
        return None if row is None else _answer(row)

    def turn_away(self, key: str, times: int) -> bool:
        """Say whether the call under `key` is one of its first `times`, and count it."""
        with self._transaction():
            row = self._db.execute(
                "INSERT INTO turned_away VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1"
                " RETURNING times",
                (key,),
            ).fetchone()
        return bool(row["times"] <= times)

    def records(self, *, order_id: str | None, after: int, limit: int) -> list[dict[str, Any]]:
        """Return charges with a position above `after`, each with the calls that touched it."""
        charges = self._db.execute(
            "SELECT * FROM charges WHERE position > ? AND (? IS NULL OR order_id = ?)"
            " ORDER BY position LIMIT ?",
            (after, order_id, order_id, limit),
        ).fetchall()
        marks = ",".join("?" * len(charges))
        calls = self._db.execute(
            f"SELECT * FROM calls WHERE reference IN ({marks}) ORDER BY at",  # noqa: S608  only ? marks
            [charge["reference"] for charge in charges],
        ).fetchall()
        return _with_calls(charges, calls)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _once(self, key: str, operation: str, arguments: list[Any], effect: Callable[[], Answer]) -> Answer:
        """Run `effect` the first time a key is seen; later return what it returned then."""
        fingerprint = json.dumps([operation, *arguments])
        with self._transaction():
            row = self._call(key)
            if row is None:
                answer = effect()
                self._db.execute(
                    "INSERT INTO calls (key, operation, arguments, outcome, reference, code, detail)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        operation,
                        fingerprint,
                        answer.outcome,
                        answer.reference,
                        answer.code,
                        answer.detail,
                    ),
                )
                return answer
        if row["arguments"] != fingerprint:
            return refused("key_reused", "This key belongs to a call with other arguments.")
        return _answer(row)

    def _on_charge(
        self,
        key: str,
        operation: str,
        reference: str,
        rest: list[Any],
        effect: Callable[[sqlite3.Row], Answer],
    ) -> Answer:
        def on_its_charge() -> Answer:
            charge = self._db.execute("SELECT * FROM charges WHERE reference = ?", (reference,)).fetchone()
            return effect(charge) if charge else refused("unknown_reference", "No such authorisation.")

        return self._once(key, operation, [reference, *rest], on_its_charge)

    def _change(self, assignment: str, value: int, reference: str) -> Answer:
        statement = f"UPDATE charges SET {assignment} WHERE reference = ?"  # noqa: S608  assignments are ours
        self._db.execute(statement, (value, reference))
        return Answer("approved", reference)

    def _call(self, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM calls WHERE key = ?", (key,)).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield


def _answer(row: sqlite3.Row) -> Answer:
    return Answer(row["outcome"], row["reference"], row["code"], row["detail"], first=False)


def _with_calls(charges: Sequence[sqlite3.Row], calls: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
    by_reference: dict[str, list[dict[str, Any]]] = {charge["reference"]: [] for charge in charges}
    shown = ("key", "operation", "outcome", "code", "at")
    for call in calls:
        by_reference[call["reference"]].append({name: call[name] for name in shown})
    return [{**dict(charge), "calls": by_reference[charge["reference"]]} for charge in charges]
