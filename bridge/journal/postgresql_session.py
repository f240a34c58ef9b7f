"""Sessions of a journal in a PostgreSQL database: whatever a site has set for its applications, these have
what they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONNECT_MAX_S = 5
LOCK_WAIT_MAX_MS = 10_000
NUL_KEPT_AS = "\ufffd"
"""A text here holds no NUL byte, and senders do send them."""

CLIENT = {
    "connect_timeout": str(CONNECT_MAX_S),
    # A peer that is gone without a word is noticed within half a minute, on both sides.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "interface-bridge",
}
_SESSION = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "client_connection_check_interval": "5000",
    # A site's defaults for its applications must not end a session, nor its transactions.
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": str(LOCK_WAIT_MAX_MS),
}
_WRITER_SESSION = {
    **_SESSION,
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # What the writer asks has an index. A plan that was made while a table was small would read all of it at
    # each commit, until the server next looks at the table's size.
    "enable_seqscan": "off",
    "jit": "off",
}


def _adapt(connection: Any) -> None:
    """Texts as this database takes them: without NUL."""
    from psycopg.types.string import StrBinaryDumper, StrDumper

    class Text(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", NUL_KEPT_AS) if "\0" in obj else obj)

    class BinaryText(StrBinaryDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", NUL_KEPT_AS) if "\0" in obj else obj)

    connection.adapters.register_dumper(str, BinaryText)
    connection.adapters.register_dumper(str, Text)


def _set(cursor: Any, session: Mapping[str, str]) -> None:
    """Settings of a session, those that this server knows."""
    for name, value in session.items():
        cursor.execute("SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", (value, name))


def prepare_reader(connection: Any) -> None:
    """A session that only reads, and waits for nobody for long."""
    _adapt(connection)
    with connection.cursor() as cursor:
        _set(cursor, _SESSION)
    connection.commit()


def prepare_writer(connection: Any) -> None:
    """The session that writes: each of its commits waits for the server's disk."""
    _adapt(connection)
    with connection.cursor() as cursor:
        _set(cursor, _WRITER_SESSION)
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] != "remote_apply":
            cursor.execute("SET synchronous_commit = on")
    connection.commit()
