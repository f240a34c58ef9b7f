"""``bridge records``: what mappings can make."""

from __future__ import annotations

import inspect

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE


@click.command("records")
@click.argument("name", required=False)
@click.option("--schema", "as_schema", is_flag=True, help="As JSON Schema.")
@click.option("--page", is_flag=True, help="The page about all of them, in Markdown.")
@options.output_format
def records_command(name: str | None, as_schema: bool, page: bool, output: str) -> int:
    """Show the canonical records, or one with its fields, tags and standards.

    A field that is needed stands in bold, as **code**. What is inside of a list follows it, as in
    `lines[].charge`. Exit status 1 where there is no such record.

    \b
    bridge records
    bridge records result
    bridge records remittance --schema
    """
    from bridge.canonical.page import first_sentence, readme
    from bridge.canonical.records import RECORDS
    from bridge.canonical.schemas import record_schema, whole_schema
    from bridge.located import did_you_mean

    if page:
        click.echo(readme(), nl=False)
        return DONE
    if name is not None and name not in RECORDS:
        hint = did_you_mean(name, RECORDS) or "`bridge records` lists them"
        click.echo(f"no record is called {name[:60]!r}; {hint}", err=True)
        return ANSWER_IS_NO
    if as_schema:
        out.json(whole_schema() if name is None else record_schema(name))
    elif name is not None:
        _show(name, output)
    elif output == "json":
        out.json([_as_json(each) for each in RECORDS])
    else:
        from bridge.canonical.classification import tag_of

        rows = [
            (each, tag_of(model).name, first_sentence(model), "; ".join(model.after))
            for each, model in RECORDS.items()
        ]
        out.table("", ["record", "tag", "what it is", "after"], rows)
    return DONE


def _as_json(name: str) -> dict[str, object]:
    from bridge.canonical.base import fields
    from bridge.canonical.classification import places, tag_of
    from bridge.canonical.records import MODEL, RECORDS

    model = RECORDS[name]
    return {
        "record": name,
        "version": MODEL,
        "text": inspect.getdoc(model),
        "identity": model.identity,
        "after": model.after,
        "tag": tag_of(model).name,
        "fields": [
            {
                "path": path,
                "kind": field.kind,
                "values": field.values,
                "needed": field.required,
                "tag": field.tag.name,
                "text": field.description,
            }
            for path, field in places(fields(model))
        ],
        "example": dict(model.example),
    }


def _show(name: str, output: str) -> None:
    from bridge.canonical.classification import tag_of
    from bridge.canonical.page import field_rows
    from bridge.canonical.records import MODEL, RECORDS

    if output == "json":
        out.json(_as_json(name))
        return
    model = RECORDS[name]
    click.echo(f"{name}, {MODEL}")
    click.echo(inspect.getdoc(model))
    facts = [("key", model.identity), ("after", "; ".join(model.after)), ("tag", tag_of(model).name)]
    out.table("", ["", ""], facts)
    out.table("", ["field", "kind", "tag", "meaning"], field_rows(model))
