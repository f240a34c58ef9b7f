"""``bridge``: one command with its parts, each imported only when it is used.

Exit status: 0 done; 1 the answer is no (checks failed, differences found); 2 wrong use; 3 could not run.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from bridge import __version__
from bridge.cli import output
from bridge.cli.wrong_use import hint
from bridge.errors import BridgeError, ConfigurationRefused

COMPLETES = "_BRIDGE_COMPLETE"
"""What a shell sets when it asks how a line may go on."""
DONE, ANSWER_IS_NO, WRONG_USE, COULD_NOT_RUN = 0, 1, 2, 3
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("bridge.cli.run", "Run the channels of a configuration folder."),
    "init": ("bridge.cli.init", "Begin a folder of your own, in which everything works."),
    "check": ("bridge.cli.author", "Show every mistake in all files, with its place."),
    "demo": (
        "bridge.cli.demo",
        "A hospital in a box: senders, the bridge and two APIs, checked to the last message.",
    ),
    "send": ("bridge.cli.send", "Send HL7 v2 messages over MLLP and show the answers."),
    "parse": ("bridge.cli.author", "Show messages as named trees, or check whether files can be read."),
    "compare": ("bridge.cli.compare", "Compare the messages of two files, field by field."),
    "capture": ("bridge.cli.capture", "Listen, and write down what senders really send."),
    "migrate": ("bridge.cli.migrate", "Assess and import channels of Mirth Connect."),
    "drill": ("bridge.cli.drill", "Stand between two systems, and break their connections on purpose."),
    "map": ("bridge.cli.mapping", "Try mappings, test them, and see what they leave out."),
    "messages": ("bridge.cli.finding", "List messages of a journal, newest first."),
    "tail": ("bridge.cli.finding", "Follow a journal: a line for each message as it comes."),
    "export": ("bridge.cli.finding", "Write messages of a journal to a file, masked or with their content."),
    "show": ("bridge.cli.operate", "Show one message and all that became of it."),
    "status": ("bridge.cli.operate", "Show what became of all that was received, and what is stopped."),
    "apis": ("bridge.cli.apis", "List the APIs of the catalogue, with their traffic and health."),
    "trace": ("bridge.cli.following", "Follow a business key: every message about it."),
    "why": ("bridge.cli.following", "Say what keeps a business key from going on."),
    "quarantine": ("bridge.cli.quarantine", "What needs a person: retry, correct, skip or discard it."),
    "codes": ("bridge.cli.codes", "Codes that no table has: list them, and let go what waits."),
    "files": (
        "bridge.cli.files",
        "What was taken from folders and servers: list it, take it once more, or throw it away.",
    ),
    "batches": ("bridge.cli.batches", "List batches: what each says of itself, and what was found."),
    "reconcile": (
        "bridge.cli.reconcile",
        "Hold what came on a day against what became of it, by channel and batch.",
    ),
    "replay": ("bridge.cli.following", "Take messages in once more."),
    "events": ("bridge.cli.events", "Streams of events: follow one, and see the types."),
    "pause": ("bridge.cli.traffic", "Stop a channel, a route or an API."),
    "resume": ("bridge.cli.traffic", "Let go what was paused."),
    "reload": ("bridge.cli.traffic", "Let a running node read its files again."),
    "bundle": (
        "bridge.cli.bundle",
        "Show what changed in the files since they were approved, and who must agree.",
    ),
    "evidence": (
        "bridge.cli.evidence",
        "Write one signed file of what a journal can show of a time.",
    ),
    "approve": (
        "bridge.cli.approve",
        "Agree to the files of this folder, as somebody other than their author.",
    ),
    "stage": (
        "bridge.cli.stage",
        "Show where routes stand, or move one between the old engine and the bridge.",
    ),
    "parity": (
        "bridge.cli.parity",
        "Show how what the old engine and the bridge made compares, or say that a difference is meant.",
    ),
    "cutover": (
        "bridge.cli.cutover",
        "Write the checklist of a cutover, as Markdown, with what is known filled in.",
    ),
    "resend": ("bridge.cli.traffic", "Let a sender send again what it has sent before."),
    "consent": (
        "bridge.cli.consent",
        "Show what is decided for a patient, or let data through in an emergency.",
    ),
    "legal-hold": (
        "bridge.cli.legal_hold",
        "Keep what retention would delete: a channel, or all about one key.",
    ),
    "disclosures": (
        "bridge.cli.disclosures",
        "Say whose data went where, or whom a release or a time has touched.",
    ),
    "journal": ("bridge.cli.journal", "Look after the journal."),
    "audit": (
        "bridge.cli.audit",
        "Prove that nothing in the journal was changed, and say who did what.",
    ),
    "explain": (
        "bridge.cli.explain",
        "Say what a name means, or why a field of a record is what it is.",
    ),
    "records": (
        "bridge.cli.records",
        "Show the canonical records, or one with its fields, tags and standards.",
    ),
    "schema": ("bridge.cli.author", "Write JSON Schemas, so that editors complete and check files."),
    "generate": (
        "bridge.cli.generate",
        "Write synthetic HL7 v2 messages, the same for the same seed.",
    ),
    "deidentify": ("bridge.cli.deidentify", "Make test data of messages: nobody in them is who they were."),
    "completion": ("bridge.cli.completion", "Let a shell complete commands, channels and mappings."),
    "doctor": ("bridge.cli.doctor", "Look for what would go wrong on this machine."),
    "bench": ("bridge.cli.bench", "Measure, as ratios to limits measured in the same run."),
}
"""Each command with the module that holds it and its line in the help, so that help imports nothing."""


@contextmanager
def _while_read() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # Whoever read our output, `head` for one, has seen enough; what is left of it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(DONE) from None


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        # Importing makes many objects and drops few; to look for cycles in them takes a fifth of its time.
        looked = gc.isenabled()
        gc.disable()
        try:
            module = importlib.import_module(COMMANDS[name][0])
        finally:
            if looked:
                gc.enable()
        command = getattr(module, f"{name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        if COMPLETES in os.environ:
            from bridge.cli.completion import with_names

            with_names(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bridge.located import did_you_mean

            ctx.fail(f"no command {args[0]!r}; {did_you_mean(args[0], COMMANDS) or 'see bridge --help'}")
        return super().resolve_command(ctx, args)

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        with _while_read():  # help is printed here
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _while_read():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bridge")
def bridge() -> None:
    """Legacy hospital feeds in, governed API calls out, and nothing lost between.

    \b
    bridge demo                     see it work, on this machine, with nothing to set up
    bridge check --config DIR       every mistake in a configuration, with its place
    bridge run --config DIR         run it
    """


def main() -> None:
    """The console script."""
    _open_what_is_closed()
    try:
        status: Any = bridge.main(standalone_mode=False, prog_name="bridge", complete_var=COMPLETES)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        if more := hint(error):
            said.write(f"{more}\n")
        # It may be of a file's name.
        output.say(output.plain(said.getvalue(), keeps_lines=True), nl=False)
        status = error.exit_code
    except click.exceptions.Abort:
        output.say("stopped")
        status = 130
    except ConfigurationRefused as error:
        show_problems(error)
        status = COULD_NOT_RUN
    except BridgeError as error:
        output.say(output.plain(f"bridge: {error}", keeps_lines=True))
        status = getattr(error, "exit_status", COULD_NOT_RUN)
    except OSError as error:
        from bridge.journal.denied import denied

        if why := denied(error):
            output.say(output.plain(f"bridge: {why}", keeps_lines=True))
            status = COULD_NOT_RUN
        elif error.errno not in DISK_IS_FULL:
            status = _fault(error)
        else:
            output.say(f"bridge: what it makes cannot be written: {error.strerror}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = COULD_NOT_RUN
    except Exception as error:  # noqa: BLE001 - a person gets no traceback
        status = _fault(error)
    sys.exit(status if isinstance(status, int) else DONE)


def _open_what_is_closed() -> None:
    """Lead to nowhere what a parent has closed of the three streams: whatever is opened next would have its
    number, and get output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)  # so that processes of ours have it too
            if nowhere != number:
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


def _fault(error: Exception) -> int:
    """Say that the bridge itself is at fault."""
    if os.environ.get("BRIDGE_TRACEBACK"):
        raise error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    output.say(
        f"bridge: a fault of the bridge itself: {type(error).__name__} in {frame.name}, "
        f"{os.path.basename(frame.filename)} line {frame.lineno}; please report it, "
        "with what BRIDGE_TRACEBACK=1 adds (which may show data)",
    )
    return COULD_NOT_RUN


def show_problems(refused: ConfigurationRefused) -> None:
    """All problems, and how many there are."""
    for problem in refused.problems:
        output.say(output.problem(problem))
    output.say(output.mistakes(refused.problems))


if __name__ == "__main__":
    main()
