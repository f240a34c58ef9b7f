"""``bridge init``: a folder to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.main import DONE


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
def init_command(directory: Path) -> int:
    """Begin a folder of your own, in which everything works.

    It has a channel, an API, a mapping with its tests, and a message to try it on. Every file says what it
    is for. DIRECTORY also gets the schemas by which an editor completes and checks the files, settings for
    VS Code, and a script for a CI. Nothing that is there is touched: where one of the files exists, none is
    written.

    \b
    bridge init my-site
    bridge check --config my-site
    """
    import orjson

    from bridge.catalog import STANDARD
    from bridge.cli.starting_folder import FILES
    from bridge.config.schema import json_schemas

    schemas = {
        f"schemas/{name}": orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"
        for name, schema in json_schemas(STANDARD).items()
    }
    files = {**FILES, **schemas}
    out.refuse_present(directory, files, "DIRECTORY")
    try:
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                path.chmod(0o755)
    except OSError as error:
        raise click.BadParameter(f"{directory}: {error.strerror}", param_hint="DIRECTORY") from None
    for name in FILES:
        click.echo(str(directory / name))
    click.echo(f"{out.count(len(files), 'file')}; next: bridge check --config {directory}", err=True)
    return DONE
