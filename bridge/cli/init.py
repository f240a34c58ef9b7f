"""``bridge init``: a folder to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.main import DONE
from bridge.cli.new_files import new_files


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
    with new_files(directory, files, "DIRECTORY") as put:
        for name, text in files.items():
            put(name, text.encode())
            if text.startswith("#!"):
                (directory / name).chmod(0o755)
    for name in FILES:
        click.echo(str(directory / name))
    click.echo(f"{out.count(len(files), 'file')}; next: bridge check --config {directory}", err=True)
    return DONE
