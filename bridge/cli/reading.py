"""Reading a journal, whether or not a node runs on it, and asking the node that does."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bridge.cli.main import WRONG_USE
from bridge.config.settings import settings
from bridge.errors import BridgeError, PeerUnavailable

if TYPE_CHECKING:
    from bridge.journal.database import Database
    from bridge.journal.finding import Reads

T = TypeVar("T")

ANSWER_WITHIN_S = 120.0
LOOKS: Final = frozenset({"look", "reveal"})
ANSWER_MAX_BYTES = 256 * 1024 * 1024


class Said(BridgeError):
    """A node said no; ``exit_status`` is the command's."""

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text)
        self.exit_status = exit_status


def database(journal_url: str | None, *, create: bool = False) -> Database:
    """The database of a journal. Raises JournalRefused where there is none, or it cannot be named so."""
    from bridge.journal.database import Database

    machine = settings(os.environ)
    return Database(
        journal_url or machine.journal,
        create=create,
        state=machine.state,
        secret=machine.secrets.resolve,
        keys=machine.journal_keys,
        random_bytes=os.urandom,
    )


def read(journal_url: str | None, query: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run a query on a journal, whether or not a node runs on it."""
    from bridge.journal.database import check_version, told

    journal = database(journal_url)
    try:
        check_version(journal)
        with told(journal), journal.reader.begin() as connection:
            return query(connection, *arguments, **named)
    finally:
        journal.close()


@contextmanager
def reading(journal_url: str | None) -> Iterator[Reads]:
    """What runs queries on a journal, each on a moment of its own, whether or not a node runs on it."""
    from bridge.journal.database import check_version, told

    journal = database(journal_url)

    def reads(query: Callable[..., T], *args: Any, **named: Any) -> T:
        with told(journal), journal.reader.begin() as connection:
            return query(connection, *args, **named)

    try:
        check_version(journal)
        yield reads
    finally:
        journal.close()


def with_facts(query: Callable[..., T]) -> Callable[..., T]:
    """A query that needs the journal's own key, which it is given after the connection."""
    from bridge.journal.database import Facts

    def run(connection: Any, *arguments: Any, **named: Any) -> T:
        return query(connection, Facts(connection), *arguments, **named)

    return run


def ask(journal_url: str | None, command: str, **arguments: Any) -> dict[str, Any]:
    """What the node on a journal says to a command.

    Raises PeerUnavailable where none runs, and Said where it says no, or where somebody would look at what is
    about patients and gives no reason, which no node needs to say.
    """
    if command in LOOKS and not str(arguments["reason"]).strip():
        raise Said("say why, with --reason: it is kept beside what you do", WRONG_USE)
    answer = _exchange(_socket_of(journal_url), command, arguments)
    if "error" in answer:
        raise Said(str(answer["error"]), int(answer.get("exit", 3)))
    return answer


def ask_if_running(journal_url: str | None, command: str, **arguments: Any) -> dict[str, Any] | None:
    """As `ask`, but None where no node runs."""
    try:
        return ask(journal_url, command, **arguments)
    except PeerUnavailable:
        return None


def environment_in(directory: Path, environment: str | None, journal_url: str | None) -> str | None:
    """The environment that was named, or else that of the node which runs on the journal, where the folder
    has a file for it."""
    from bridge.config.environments import FOLDER

    if environment is not None or not (directory / FOLDER).is_dir():
        return environment
    node = ask_if_running(journal_url, "status")
    name = None if node is None else node.get("environment")
    return name if name and (directory / FOLDER / f"{name}.yaml").is_file() else None


def _socket_of(journal_url: str | None) -> Path:
    from bridge.journal.database import named
    from bridge.runtime.control import socket_path

    machine = settings(os.environ)
    return socket_path(named(journal_url or machine.journal, state=machine.state).beside)


def _exchange(path: Path, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from bridge.runtime.control import socket_address

    if os.geteuid() == 0 and (sudo_user := os.environ.get("SUDO_USER")):
        arguments = {**arguments, "sudo_user": sudo_user}
    request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    folder: int | None = None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_WITHIN_S)
        address, folder = socket_address(path)
        connection.connect(address)
        connection.sendall(request)
        answer = bytearray()
        while b"\n" not in answer and len(answer) < ANSWER_MAX_BYTES:
            if not (data := connection.recv(65536)):
                break
            answer += data
    except PermissionError:
        raise PeerUnavailable(
            f"the node's socket {path} is for its own user: run the command as that user"
        ) from None
    except OSError as error:
        raise PeerUnavailable(
            f"no node answers at {path} ({error.strerror or error}); start one with `bridge run`, "
            "or name its journal with --journal, and where it keeps what is beside it with BRIDGE_STATE"
        ) from None
    finally:
        connection.close()
        if folder is not None:
            os.close(folder)
    try:
        found = json.loads(answer)
    except ValueError:
        raise PeerUnavailable(f"the node at {path} ended before it had answered; see its log") from None
    return found if isinstance(found, dict) else {}
