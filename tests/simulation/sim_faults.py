"""What is done to a journal at one of its steps, on each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sim_steps
from postgres_server import PostgresServer
from sim_process import Process
from sim_steps import Break, Gone

from bridge.journal.sqlite import sqlite_module


@dataclass(frozen=True, slots=True)
class StepFault:
    """A fault at a step. With ``after_commit`` only COMMITs have it, which are done and not heard of."""

    name: str
    make: Callable[[Process], Break]
    after_commit: bool = False


def _raises(make: Callable[[], Exception]) -> Callable[[Process], Break]:
    def of(process: Process) -> Break:
        def fail(connection: Any, statement: str) -> None:
            raise make()

        return fail

    return of


def _killed(process: Process) -> Break:
    def kill(connection: Any, statement: str) -> None:
        process.power_off(None)
        sim_steps.now.dead = True
        if hasattr(connection, "pgconn"):
            # The system closes the sockets of a process that is gone.
            connection.pgconn.finish()
        raise Gone

    return kill


def _disk_full(process: Process) -> Break:
    def fill(connection: Any, statement: str) -> None:
        process.next_write = "full"

    return fill


SQLITE = (
    StepFault("an error", _raises(lambda: sqlite_module().OperationalError("disk I/O error"))),
    StepFault("a refused item", _raises(lambda: sqlite_module().IntegrityError("CHECK constraint failed"))),
    StepFault("a full disk", _disk_full),
    StepFault("killed", _killed),
    StepFault("killed after the commit", _killed, after_commit=True),
)


def postgresql(server: PostgresServer) -> tuple[StepFault, ...]:
    """The faults of a journal on a server; connections are really ended."""
    import psycopg

    def lost(process: Process) -> Break:
        def end(connection: Any, statement: str) -> None:
            with server.connect() as other:
                other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

        return end

    def unheard(process: Process) -> Break:
        def cut(connection: Any, statement: str) -> None:
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        return cut

    return (
        StepFault("an error", _raises(lambda: psycopg.OperationalError("could not read block 7"))),
        StepFault("a refused item", _raises(lambda: psycopg.IntegrityError("violates check constraint"))),
        StepFault("a full disk", _raises(lambda: psycopg.errors.DiskFull("could not extend file"))),
        StepFault("a lost connection", lost),
        StepFault("a lost answer to COMMIT", unheard, after_commit=True),
        StepFault("killed", _killed),
        StepFault("killed after the commit", _killed, after_commit=True),
    )


DISK: Mapping[str, str] = {
    "error": "an I/O error",
    "full": "a full disk",
    "process": "killed",
    "all": "power cut, all kept",
    "none": "power cut, nothing kept that was not synced",
    "prefix": "power cut, the first writes kept",
    "some": "power cut, any of the writes kept",
    "torn": "power cut, any sectors of the writes kept",
}
"""What happens at one write, sync, truncation or removal of a file below SQLite."""
