"""``bridge send``: an MLLP client for trying things out and for drills."""

from __future__ import annotations

import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.author import files_in, read_file
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2_check import split_messages
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.formats.mllp_framing import Block, MllpFraming, frame
from bridge.tls.client import Tls, context_or_why

ANSWER_MAX_BYTES = 1024**2
_FILE = click.Path(path_type=Path, dir_okay=False)
READ_MAX_BYTES = 65536
LATER_MAX_ANSWERS = 1000
APPLICATION_CODES = ("AA", "AE", "AR")


class Sender:
    """One MLLP connection that sends a message and waits for its answer."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        wait_s: float,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        """Connect, with a context by TLS. Raises PeerUnavailable where nobody answers, or is not trusted."""
        try:
            plain = socket.create_connection((host, port), timeout=wait_s)
        except OSError as error:
            raise PeerUnavailable(f"cannot connect to {host}:{port}: {error.strerror or error}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if tls is None else _secured(plain, tls, server_name or host)
        self._framing = MllpFraming(ANSWER_MAX_BYTES)
        self._answers: list[bytes] = []
        self._committed: Counter[str] = Counter()
        self._later: list[bytes] = []

    def send(self, message: bytes) -> bytes:
        """Send one message and return its answer. Raises PeerUnavailable where none comes.

        In enhanced mode this is the commit acknowledgement; `application_answer` gives the other.
        """
        try:
            self._socket.sendall(frame(message))
        except OSError as error:
            raise PeerUnavailable(f"no answer: {error.strerror or error}") from error
        while True:
            answer = self._next()
            says = Acknowledged.read(answer)
            if says.code == "CA":
                self._committed[says.control_id] += 1
            elif says.code in APPLICATION_CODES and self._committed[says.control_id]:
                self._committed[says.control_id] -= 1
                self._later = [*self._later[1 - LATER_MAX_ANSWERS :], answer]
                continue
            return answer

    def application_answer(self, control_id: str) -> bytes:
        """The application acknowledgement of a message that has a commit acknowledgement.

        Raises PeerUnavailable where none comes.
        """
        while True:
            for answer in self._later:
                if Acknowledged.read(answer).control_id == control_id:
                    self._later.remove(answer)
                    return answer
            self._later = [*self._later[1 - LATER_MAX_ANSWERS :], answer := self._next()]
            self._committed[Acknowledged.read(answer).control_id] -= 1

    def _next(self) -> bytes:
        try:
            while not self._answers:
                data = self._socket.recv(READ_MAX_BYTES)
                if not data:
                    raise PeerUnavailable("the connection was closed without an answer")
                self._answers += [
                    event.body for event in self._framing.feed(data) if isinstance(event, Block)
                ]
        except ssl.SSLError as error:
            # Under TLS 1.3 a listener's refusal comes after the handshake has ended here.
            raise PeerUnavailable(f"no answer: TLS was refused there: {_tls_words(error)}") from error
        except OSError as error:
            raise PeerUnavailable(f"no answer: {error.strerror or error}") from error
        return self._answers.pop(0)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _secured(plain: socket.socket, tls: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(plain, server_hostname=name)
    except OSError as error:
        plain.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"its certificate is not trusted: {error.verify_message}"
            raise PeerUnavailable(f"{why}; see --ca and --server-name") from error
        words = _tls_words(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise PeerUnavailable(f"no TLS with {name}: {words}") from error


def _tls_words(error: ssl.SSLError) -> str:
    """OpenSSL's own name of what happened, as words."""
    return (error.reason or "closed").lower().replace("_", " ")


@click.command("send")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("address", metavar="HOST:PORT")
@click.option(
    "--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Send all so often."
)
@click.option(
    "--wait", "wait_s", type=float, default=30.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--wait-application", is_flag=True, help="After CA wait for the application acknowledgement too."
)
@click.option("--quiet", is_flag=True, help="Only the count at the end.")
@click.option("--tls", is_flag=True, help="Speak TLS, and check the listener's certificate.")
@click.option("--ca", type=_FILE, help="With --tls: trust only these authorities, a PEM file.")
@click.option("--cert", type=_FILE, help="With --tls: the certificate to show, a PEM file.")
@click.option("--key", type=_FILE, help="With --tls: its private key, a PEM file.")
@click.option("--server-name", help="With --tls: the name to expect there, if it is not HOST.")
def send_command(  # noqa: PLR0913 - one for each option
    files: tuple[Path, ...],
    address: str,
    *,
    repeat: int,
    wait_s: float,
    wait_application: bool,
    quiet: bool,
    tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str | None,
) -> int:
    """Send HL7 v2 messages over MLLP and show the answers.

    A file may hold one message, several, or a batch; a folder stands for all files in it, in the order of
    their names. Exit status 1 unless every last answer is AA or CA.

    \b
    bridge send admission.hl7 localhost:2575
    bridge send legacy_fixtures/hl7v2/*.hl7 localhost:2575 --repeat 10
    bridge send admission.hl7 localhost:2575 --wait-application
    bridge send admission.hl7 HOST:2575 --tls --ca ca.pem --cert a.pem --key a.key
    """
    if not tls and (ca or cert or key or server_name):
        raise click.UsageError("--ca, --cert, --key and --server-name go with --tls")
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    context = context_or_why(Tls(ca=ca, certificate=cert, key=key)) if tls else None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("expected HOST:PORT, as in localhost:2575", param_hint="HOST:PORT")
    messages = list(_messages(files))
    sender = Sender(host.strip("[]"), int(port), wait_s=wait_s, tls=context, server_name=server_name)
    good = bad = 0
    started_s = time.monotonic()
    try:
        for _ in range(repeat):
            for name, message in messages:
                answers = [Acknowledged.read(sender.send(message))]
                if wait_application and answers[0].code == "CA":
                    answers.append(Acknowledged.read(sender.application_answer(answers[0].control_id)))
                accepted = answers[-1].code in ("AA", "CA")
                good, bad = good + accepted, bad + (not accepted)
                for answer in () if quiet else answers:
                    said = f"{answer.code}  {answer.control_id:<20} {name}  {answer.text}".rstrip()
                    click.echo(out.plain(said))
    finally:
        sender.close()
    spent_s = time.monotonic() - started_s
    click.echo(f"{good + bad} sent, {good} accepted, {bad} not, {spent_s:.2f} s", err=True)
    return DONE if not bad else ANSWER_IS_NO


def _messages(files: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    for path in files_in(files):
        found = list(split_messages(read_file(path)))
        if not found:
            raise click.BadParameter(f"{path}: no HL7 v2 message in it", param_hint="FILES")
        for number, message in enumerate(found, 1):
            yield (path.name if len(found) == 1 else f"{path.name} #{number}"), message
