"""A site whose channel takes charges in files of rows or XML, and such files, right and wrong."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from bridge.cli.demo import CHANNEL
from bridge.shipped import shipped

CHANNEL_FILE = """\
channel: {name}
source:
  file_drop: {{directory: {folder}, stable_for: 0s, poll: 100ms}}
format:
{format}
order_by: $.account
batches: {{release: after_balance}}
routes:
  - route: charge
    mapping: nightly-charges
    record: charge
    to: {{api: ehr.encounters, operation: putCharge}}
"""
FIXED = """\
  fixed:
    header: {says: H, fields: {business_date: 2-9}}
    detail:
      says: D
      fields:
        {account: 2-11, svc_date: 12-19, code: 20-26, code_type: "27", qty: 28-32, amount: 33-41, dept: 42-45}
    trailer: {says: T, fields: {count: 2-7, total: 8-18}}
    totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""
CSV = """\
  delimited:
    columns: [type, account, svc_date, code, code_type, qty, amount, dept]
    header: {first: H, columns: [type, business_date]}
    trailer: {first: T, columns: [type, count, total]}
    totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""
XML = """\
  xml:
    record: charge
    header: header
    totals: [{trailer: trailer/count}, {trailer: trailer/total, of: sum, column: amount, decimals: 2}]
"""
OPERATION = """\
operations:
  putCharge:
    method: PUT
    path: /encounters/{key}
    send_only: [key, account, code, amount]
  putEncounter:
"""


def write_charges(site: Path, incoming: Path, format_: str) -> None:
    """Let the channel of a site take charges from a folder, and an API of it take them one by one."""
    channel = CHANNEL_FILE.format(name=CHANNEL, folder=incoming, format=format_)
    (site / "channels" / f"{CHANNEL}.yaml").write_text(channel)
    text = shipped("mappings", "examples", "nightly-charges.yaml").read_text()
    if "delimited" in format_:
        text = text.replace("format: fixed", "format: delimited").replace("columns: [", "columns: [type, ")
        text = text.partition("tests:")[0]
    elif "xml" in format_:
        head, _, rest = text.partition("  format: fixed\n")
        rest = rest[rest.index("tables:") :].partition("tests:")[0].replace("    for_each: row\n", "")
        source = "  {format: xml, record: charge, header: header, timezone: America/New_York}\n\n"
        text = head + source + rest
    (site / "mappings" / "nightly-charges.yaml").write_text(text)
    api = site / "channels" / "apis" / "ehr.encounters.yaml"
    said = api.read_text().replace("operations:\n  putEncounter:\n", OPERATION)
    api.write_text(said.replace("auth: none\n", "auth: none\ncarries: {phi: true, financial: true}\n"))


def fixed(
    count: int,
    *,
    first: int = 0,
    says: int | None = None,
    cents: int = 0,
    bad: bool = False,
    dearer: Container[int] = (),
) -> bytes:
    """Charges ``first`` and those after it. Those in ``dearer`` are of a cent more, and so other charges."""
    numbers = range(first, first + count)
    rows = [
        b"D%010d20240102%-7sC00001%08d%sED01"
        % (n % 7, b"99%03d" % n, 10 * (n % 1000), b"A" if n in dearer else b"{")
        for n in numbers
    ]
    total = sum(100 * (n % 1000) + (n in dearer) for n in numbers) + cents
    rows += [b"X is no row"] if bad else []
    said = len(rows) if says is None else says
    return b"\n".join([b"H20240103", *rows, b"T%06d%011d" % (said, total)]) + b"\n"


def delimited(count: int, *, says: int | None = None, cents: int = 0, bad: bool = False) -> bytes:
    rows = [b"D,%010d,20240102,99%03d,C,1,%d,ED01" % (n % 7, n, 100 * (n % 1000)) for n in range(count)]
    total = sum(100 * (n % 1000) for n in range(count)) + cents
    rows += [b"D,too,few"] if bad else []
    said = len(rows) if says is None else says
    return b"\n".join([b"H,20240103", *rows, b"T,%d,%d" % (said, total)]) + b"\n"


def xml(
    count: int,
    *,
    first: int = 0,
    says: int | None = None,
    cents: int = 0,
    bad: bool = False,
    dearer: Container[int] = (),
) -> bytes:
    """The same charges as `fixed`, each an element in a line of its own."""
    numbers = range(first, first + count)
    rows = [
        b"<charge><account>%010d</account><svc_date>20240102</svc_date><code>99%03d</code><code_type>C</code_type>"
        b"<qty>1</qty><amount>%d</amount><dept>ED01</dept></charge>"
        % (n % 7, n, 100 * (n % 1000) + (n in dearer))
        for n in numbers
    ]
    total = sum(100 * (n % 1000) + (n in dearer) for n in numbers) + cents
    rows += [b"<charge><account>&</account></charge>"] if bad else []
    said = len(rows) if says is None else says
    return b"\n".join(
        [
            b"<charges><header><business_date>20240103</business_date></header>",
            *rows,
            b"<trailer><count>%d</count><total>%d</total></trailer></charges>\n" % (said, total),
        ]
    )
