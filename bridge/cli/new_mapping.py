"""``bridge map new``: a first mapping from samples, as a file."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.author import read_file
from bridge.cli.deidentifying import KEY_MIN_BYTES, deidentify
from bridge.cli.first_mapping import first_mapping
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.message_files import messages_in
from bridge.cli.survey import survey
from bridge.cli.trial import trial
from bridge.config.yaml_format import formatted
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.selftest import run_tests

SHOWN_MAX_FILES = 8
_NAME = re.compile(r"[a-z][a-z0-9-]{0,99}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ @-]{0,99}")


def begin(name: str, files: tuple[Path, ...], folder: Path, owner: str, key_file: Path | None) -> int:
    """Write the file, and say what is in it. Raises BadParameter on wrong use."""
    if _NAME.fullmatch(name) is None:
        said = f"{name[:40]!r}: small letters, digits and hyphens, as in lab-results"
        raise click.BadParameter(said, param_hint="NAME")
    if _OWNER.fullmatch(owner) is None:
        raise click.BadParameter(f"{owner[:40]!r}: a name, as in clinical-integration", param_hint="--owner")
    if not files:
        raise click.BadParameter("name files or folders of sample messages", param_hint="--from")
    key = os.urandom(32) if key_file is None else read_file(key_file)
    if len(key) < KEY_MIN_BYTES:
        raise click.BadParameter(f"{key_file}: a key has {KEY_MIN_BYTES} bytes or more", param_hint="--key")
    path = folder / f"{name}.yaml"
    if path.exists():
        raise click.BadParameter(f"{path} is there already; choose another name", param_hint="NAME")
    messages = [message for _, message in messages_in(files)]
    found = survey(messages)
    if not found.messages:
        raise click.BadParameter("no HL7 v2 message with a type in them", param_hint="--from")
    made = [deidentify(message, key) for message in messages]
    samples = [Hl7Message.read(each.body) for each in made if each.refused is None]
    text, plan = first_mapping(name, owner, found, trial, messages, samples)
    text = formatted(text, str(path))[0] or text
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}; --to names another folder") from None
    results = () if plan is None else run_tests(plan)
    passed = sum(each.passed for each in results)
    questions = out.count(len(re.findall(r"# TODO", text)), "question")
    click.echo(
        f"{path}: from {out.count(found.messages, 'message')}, {questions} marked TODO, "
        f"{passed} of {out.count(len(results), 'test')} pass",
        err=True,
    )
    if found.skipped:
        click.echo(f"{out.count(found.skipped, 'message')} without a type left out", err=True)
    of = " ".join(map(shlex.quote, map(str, files))) if len(files) <= SHOWN_MAX_FILES else "FILES"
    click.echo(f"next: bridge map test {path}; bridge map coverage {path} {of}", err=True)
    return DONE if plan is not None and results and passed == len(results) else ANSWER_IS_NO
