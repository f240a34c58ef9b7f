"""Rules that the database itself holds, made from the tables of `delivery.state`.

They are put in place anew after every migration, since SQLite rebuilds a table to change it and drops its
triggers on the way.
"""

from __future__ import annotations

from sqlalchemy import Connection

from bridge.delivery.state import DELIVERY_ARROWS, DELIVERY_BEGINS, MESSAGE_ARROWS, MESSAGE_BEGINS


def _quoted(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def _machine(table: str, begins: list[str], arrows: list[tuple[str, str]]) -> dict[str, str]:
    steps = _quoted([f"{old}>{new}" for old, new in arrows])
    return {
        f"{table}_begin": f"""CREATE TRIGGER {table}_begin BEFORE INSERT ON {table}
            WHEN NEW.state NOT IN ({_quoted(begins)})
            BEGIN SELECT RAISE(ABORT, 'state-machine: {table} cannot begin in this state'); END""",
        f"{table}_step": f"""CREATE TRIGGER {table}_step BEFORE UPDATE OF state ON {table}
            WHEN OLD.state || '>' || NEW.state NOT IN ({steps})
            BEGIN SELECT RAISE(ABORT, 'state-machine: {table} has no such step'); END""",
    }


SQLITE: dict[str, str] = {
    **_machine("messages", list(MESSAGE_BEGINS), list(MESSAGE_ARROWS)),
    **_machine("deliveries", list(DELIVERY_BEGINS), list(DELIVERY_ARROWS)),
    "messages_as_received": """CREATE TRIGGER messages_as_received
        BEFORE UPDATE OF id, channel, seq, received_at_us, fingerprint ON messages
        BEGIN SELECT RAISE(ABORT, 'as-received: what a sender sent does not change'); END""",
    "bodies_as_received": """CREATE TRIGGER bodies_as_received BEFORE UPDATE ON bodies
        WHEN NEW.body IS NOT OLD.body AND NEW.body IS NOT NULL
            OR OLD.answer IS NOT NULL AND NEW.answer IS NOT OLD.answer
        BEGIN SELECT RAISE(ABORT, 'as-received: what a sender sent does not change'); END""",
    "requests_as_released": """CREATE TRIGGER requests_as_released BEFORE UPDATE ON requests
        BEGIN SELECT RAISE(ABORT, 'as-released: every attempt sends the same request'); END""",
    "revised_requests_as_released": """CREATE TRIGGER revised_requests_as_released
        BEFORE UPDATE ON revised_requests
        BEGIN SELECT RAISE(ABORT, 'as-released: every attempt sends the same request'); END""",
    "revised_bodies_as_given": """CREATE TRIGGER revised_bodies_as_given BEFORE UPDATE ON revised_bodies
        BEGIN SELECT RAISE(ABORT, 'as-given: a correction is not changed'); END""",
    "actions_kept": """CREATE TRIGGER actions_kept BEFORE UPDATE ON actions
        BEGIN SELECT RAISE(ABORT, 'append-only: actions are not changed'); END""",
    "actions_not_deleted": """CREATE TRIGGER actions_not_deleted BEFORE DELETE ON actions
        BEGIN SELECT RAISE(ABORT, 'append-only: actions are not deleted'); END""",
    "transitions_kept": """CREATE TRIGGER transitions_kept BEFORE UPDATE ON transitions
        BEGIN SELECT RAISE(ABORT, 'append-only: transitions are not changed'); END""",
    "transitions_not_deleted": """CREATE TRIGGER transitions_not_deleted BEFORE DELETE ON transitions
        BEGIN SELECT RAISE(ABORT, 'append-only: transitions are not deleted'); END""",
}


def install(connection: Connection) -> None:
    """Put all rules in place, in the transaction of ``connection``."""
    for name, sql in SQLITE.items():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        connection.exec_driver_sql(sql)


def installed(connection: Connection) -> dict[str, str]:
    """The rules that are in place, by name."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {row.name: row.sql for row in rows}
