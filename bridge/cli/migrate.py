"""``bridge migrate``: exports of Mirth Connect, assessed and imported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.cli.migrate_files import Changes
    from bridge.migration.mirth.convert import Converted
    from bridge.migration.mirth.model import Export

FILES_MAX_COUNT: Final = 20_000
"""Files of a tree; mirthsync writes one for each channel, script and template."""
SCRIPT_MAX_BYTES: Final = 1024**2
LEFT_SHOWN_MAX_COUNT: Final = 8

_EXPORTS = click.argument("exports", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.group("migrate")
def migrate_command() -> None:
    """Assess and import channels of Mirth Connect.

    Versions 2 to 4.5, Open Integration Engine and BridgeLink, and trees of mirthsync.

    \b
    bridge migrate assess channels.xml --html assessment.html
    bridge migrate import channels.xml --to site
    """


@migrate_command.command("assess")
@_EXPORTS
@click.option(
    "--html", "page_path", type=click.Path(path_type=Path), help="Write the whole report there as a page."
)
@click.option("--all", "everything", is_flag=True, help="Show every element, not only what is left to do.")
@options.output_format
def assess_command(exports: tuple[Path, ...], page_path: Path | None, everything: bool, output: str) -> int:
    """Say what is in EXPORTS, and what becomes of each element.

    An export is a file of a channel, a group, a code template library or a whole server's configuration, or a
    folder as mirthsync writes it. Nothing of it is run. Secrets are told by their place, and never shown.
    Exit status 1 where a file cannot be read.

    \b
    bridge migrate assess server-configuration.xml
    bridge migrate assess mirthsync-tree/ --html assessment.html
    bridge migrate assess *.xml --format json
    """
    from bridge.migration.mirth.assess import report
    from bridge.migration.mirth.page import page

    export, converted = _converted(exports)
    found = report(export, converted)
    if page_path is not None:
        out.write(page_path, page(found))
    if output == "json":
        out.json(found)
    else:
        _show(found, everything)
        if page_path is not None:
            click.echo(f"all of it: {page_path}", err=True)
    if not converted.channels:
        click.echo("nothing to assess: there is no channel in it", err=True)
    return ANSWER_IS_NO if found["refused"] or not converted.channels else DONE


@migrate_command.command("import")
@_EXPORTS
@click.option(
    "--to", "directory", required=True, type=click.Path(path_type=Path), help="The folder to write to."
)
@options.output_format
def import_command(exports: tuple[Path, ...], directory: Path, output: str) -> int:
    """Write EXPORTS as channel, API and mapping files below a folder.

    What cannot be converted stands in the mapping files as a comment, with its script, its place and the
    reason. A channel that cannot run yet, or did not run in the old engine, is written to unfinished/, where
    nothing reads it. Once more, with a newer export, it changes what changed there and keeps what was edited
    here; where both changed the same lines, the file stays as it is and the new one is written to
    migration/conflicts/ (exit status 1).

    \b
    bridge migrate import channels.xml --to site
    bridge check --config site
    """
    from bridge.cli.migrate_files import write
    from bridge.migration.mirth.assess import report
    from bridge.migration.mirth.page import page

    if directory.exists() and not directory.is_dir():
        raise click.BadParameter(f"{directory} is no folder", param_hint="--to")
    export, converted = _converted(exports)
    found = report(export, converted)
    if not converted.channels:
        _refusals(found)
        click.echo("nothing to import: there is no channel in it", err=True)
        return ANSWER_IS_NO
    reports = {"migration/report.json": _json(found), "migration/report.html": page(found)}
    changes = write(directory, converted.files, reports)
    if output == "json":
        out.json({**found, "files": changes.rows})
    else:
        _imported(directory, found, converted, changes)
    return ANSWER_IS_NO if found["refused"] or changes.conflicts else DONE


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def _converted(paths: Sequence[Path]) -> tuple[Export, Converted]:
    from bridge.cli.trial import trial
    from bridge.migration.mirth.convert import convert

    export = export_of(paths)
    return export, convert(export, trial)


def export_of(paths: Sequence[Path]) -> Export:
    """All that files and folders hold, read and joined. Raises BadParameter where there is none."""
    from bridge.migration.mirth.model import Export, Refused
    from bridge.migration.mirth.read import join, read_export

    export = Export()
    count = 0
    for path in paths:
        if not path.exists():
            raise click.BadParameter(f"{path}: there is no such file or folder", param_hint="EXPORTS")
        for file, shown, beside in _files(path):
            count += 1
            if count > FILES_MAX_COUNT:
                export.refused.append(Refused(shown, f"more than {FILES_MAX_COUNT} files"))
                return join(export)
            try:
                data = _bytes(file)
            except OSError as error:
                export.refused.append(Refused(shown, error.strerror or "it cannot be read"))
                continue
            read_export(data, shown, export, beside)
    if not count:
        raise click.BadParameter("no *.xml in it", param_hint="EXPORTS")
    return join(export)


def _bytes(file: Path) -> bytes:
    from bridge.migration.mirth.xml_tree import EXPORT_MAX_BYTES

    with file.open("rb") as stream:
        return stream.read(EXPORT_MAX_BYTES + 1)


def _files(path: Path) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Exports below a path: the file, its name for people, and the scripts that lie beside it."""
    if not path.is_dir():
        yield path, path.name, {}
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            if name.lower().endswith(".xml") and file.is_file() and not file.is_symlink():
                yield file, str(file.relative_to(path)), _scripts(file)


def _scripts(file: Path) -> dict[str, str]:
    """The scripts of mirthsync: in a folder called as the export is, or beside it."""
    found: dict[str, str] = {}
    for folder in (file.parent, file.with_suffix("")):
        if not folder.is_dir() or folder.is_symlink():
            continue
        for script in sorted(folder.glob("*.js")):
            if script.is_file() and not script.is_symlink() and script.stat().st_size <= SCRIPT_MAX_BYTES:
                found[script.name] = script.read_text(encoding="utf-8", errors="replace")
    return found


def _show(found: dict[str, Any], everything: bool) -> None:
    numbers = ("elements", "conv.", "appr.", "man.", "drop.", "points", "wave")
    columns = ("channel", "version", "source", "destinations", *numbers, "remarks")
    out.table(
        "Channels",
        columns,
        (
            (each["channel"], each["version"], each["source"], ", ".join(each["destinations"]),
             each["elements"], each["converted"], each["approximated"], each["manual"],
             each["dropped"], each["points"], each["wave"], _remarks(each))
            for each in found["inventory"]
        ),
        right=numbers,
    )  # fmt: skip
    if found["ports"]:
        rows = ((each["direction"], each["host"], each["port"], each["channel"],
                 "twice" if each["twice"] else "") for each in found["ports"])  # fmt: skip
        out.table("Ports", ("", "host", "port", "channel", " "), rows, right=("port",))
    left = [each for each in found["details"] if everything or each["outcome"] == "manual"]
    if left:
        rows = ((each["channel"], each["kind"], each["name"], each["outcome"], each["reason"] or each["into"])
                for each in left)  # fmt: skip
        out.table(
            "Elements" if everything else "To be done by hand", ("channel", "kind", "name", "", "why"), rows
        )
    ways = [each for each in found["connectors"] if each["outcome"] == "manual"]
    if ways:
        found_ways = [
            (each["channel"], each["connector"], each["transport"], each["reason"]) for each in ways
        ]
        out.table(
            "Connectors without a counterpart", ("channel", "connector", "transport", "why"), found_ways
        )
    if found["secrets"]:
        secrets = [(each["channel"], each["what"], each["xpath"]) for each in found["secrets"]]
        out.table("Secrets in the export; their values stay there", ("channel", "what", "where"), secrets)
    if found["server"]:
        of_server = [(each["kind"], each["name"], each["what"]) for each in found["server"]]
        out.table("Of the whole server", ("kind", "name", "what becomes of it"), of_server)
    for each in found["waves"]:
        if each["channels"]:
            click.echo(f"wave {each['wave']}, {each['what']}: {', '.join(each['channels'])}")
    _refusals(found)
    click.echo(_summary(found), err=True)


def _remarks(each: dict[str, Any]) -> str:
    found = [] if each["runs"] or each["held"] else ["does not run yet"]
    found += [f"held back: {each['held']}"] if each["held"] else []
    found += [f"dead? {each['dead']}"] if each["dead"] and not each["held"] else []
    found += [f"the same as {each['double_of']}"] if each["double_of"] else []
    found += [f"hands on to {', '.join(each['writes_to'])}"] if each["writes_to"] else []
    return "; ".join(found)


def _summary(found: dict[str, Any]) -> str:
    from bridge.migration.mirth.assess import CHANNEL_POINTS

    elements = found["elements"]
    share = f" ({100 * found['converted'] // elements} %)" if elements else ""
    return (
        f"{out.count(found['channels'], 'channel')}, {out.count(elements, 'element')}: "
        f"{found['converted']} converted{share}, {found['approximated']} approximated, "
        f"{found['manual']} manual, {found['dropped']} dropped; about {found['points']} points of work left, "
        f"{found['channels'] * CHANNEL_POINTS} of them to compare and to cut over"
    )


def _refusals(found: dict[str, Any]) -> None:
    for each in found["refused"]:
        click.echo(f"not used: {each['file']}: {each['reason']}", err=True)


def _imported(directory: Path, found: dict[str, Any], converted: Converted, changes: Changes) -> None:
    for path, change in changes.shown():
        click.echo(f"{change:9} {path}")
    running = [each["name"] for each in found["inventory"] if each["runs"]]
    held = [each["name"] for each in found["inventory"] if each["held"]]
    rest = [each["name"] for each in found["inventory"] if not each["runs"] and not each["held"]]
    _refusals(found)
    click.echo(_summary(found), err=True)
    if running:
        click.echo(f"ready to be tried: {', '.join(running)}", err=True)
    if rest:
        click.echo(f"not finished, in unfinished/channels/: {', '.join(rest)}", err=True)
    if held:
        click.echo(f"held back, in unfinished/channels/, as they did not run: {', '.join(held)}", err=True)
    for line in _of_server(found):
        click.echo(line, err=True)
    for line in _left(converted):
        click.echo(line, err=True)
    if running:
        click.echo(f"next: bridge check --config {directory}", err=True)
    else:
        unfinished = directory / "unfinished" / "channels"
        click.echo(
            f"none of it runs yet; next: finish a channel in {unfinished}, and move it to "
            f"{directory / 'channels'}; then bridge check --config {directory}",
            err=True,
        )


def _left(converted: Converted) -> Iterator[str]:
    """What a person has to write or to give before all of it can run."""
    from bridge.migration.mirth.convert import ENVIRONMENT_FILE

    if marked := [path for path, text in converted.files.items() if "# TODO" in text]:
        yield f"to be done by hand, marked TODO: {_some(marked)}"
    if values := sorted({name for each in converted.channels for name in each.values}):
        yield (
            f"to be given in {ENVIRONMENT_FILE}: {_some(values)}; "
            "`environment:` there names where it runs, for bridge run --environment"
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - LEFT_SHOWN_MAX_COUNT
    return ", ".join(names[:LEFT_SHOWN_MAX_COUNT]) + (f" and {more} more" if more > 0 else "")


def _of_server(found: dict[str, Any]) -> Iterator[str]:
    """What a server sets beside its channels, by kind, and where it is told in full."""
    kinds = Counter(each["kind"] for each in found["server"])
    if kinds:
        told = ", ".join(f"{number} x {kind}" for kind, number in kinds.items())
        yield f"of the whole server: {told}; see `Of the whole server` in migration/report.html"
