"""What to do about each problem of a configuration, with an example. What it means is in `codes.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ADVICE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "C101": (
            "Put the whole value in quotes, and indent keys of one mapping alike.",
            'listen: "tcp:2575"',
        ),
        "C102": ("Delete one of the two.", "owner: a\nowner: b"),
        "C103": ("Write the value out where it is used.", "retry: *usual"),
        "C104": ("Delete the tag; a number or a date is written as it is.", "version: !!str 1.0"),
        "C105": ("Write a file for each document, without `---` between.", "channel: a\n---\nchannel: b"),
        "C106": ("Write keys with values, or delete the file.", "channel: adt"),
        "C107": ("See whether an indentation went wrong; no key needs such depth.", "[[[[[[[[…]]]]]]]]"),
        "C108": (
            "See whether it is a configuration file at all; move others out of the folder.",
            "dump.yaml",
        ),
        "C109": ("Use spaces; most editors do so when told.", "source:\n\tmllp: {}"),
        "C110": ("Delete the character at that place and type the line anew.", "a pasted zero-width space"),
        "C111": ("Save the file as UTF-8.", "a file saved as UTF-16 or windows-1252"),
        "C112": ("Write the key as one piece of text.", "[a, b]: c"),
        "C113": ("Put the whole value in quotes.", "[if(PID-8 = 'F', 'a', 'b')]"),
        "C120": (
            "Correct the spelling, or delete the key; `bridge explain KEY` finds where it may stand.",
            "acept: [ADT^A01]",
        ),
        "C121": ("Add the key.", "- route: patient     # and no `mapping:`"),
        "C122": (
            "Write what the message says that it expects; `bridge explain` of the key says more.",
            "idle: 5     # instead of 5s",
        ),
        "C123": (
            "Correct the name; `bridge explain` without a name lists what there is.",
            "source: {mlpp: {}}",
        ),
        "C130": ("Correct the name, or write the mapping into mappings/.", "mapping: adt-admits"),
        "C131": (
            "Correct the name, or write the API into channels/apis/.",
            "to: {api: ehr.patient, operation: put}",
        ),
        "C132": (
            "Correct the name, or add the operation to the API's file.",
            "operations: {upsert: putPateint}",
        ),
        "C133": ("Name a record that the mapping's `emit` makes.", "record: pateint"),
        "C134": ("Take the type out of `accept`, or add it to the mapping's.", "accept: [ADT^A99]"),
        "C135": ("Correct the field, or delete it from `send_only` and the path.", "send_only: [key, famly]"),
        "C136": ("Add the field to `send_only`, or take it out of the path.", "path: /patients/{given}"),
        "C137": (
            "Name a call for the operation, or accept no message that makes it.",
            "operations: {upsert: put}     # and no `cancel`",
        ),
        "C138": (
            "Give one of the channels another port or another address.",
            "listen: tcp:2575     # in two files",
        ),
        "C139": ("Give one of the two another name, or delete a copy.", "channel: adt     # in two files"),
        "C140": (
            "Write https:// and a credential; without them an API is for loopback.",
            "base_url: http://ehr.example",
        ),
        "C141": ("Use it, or delete it. It does no harm.", "a mapping that no route names"),
        "C142": (
            "Give the channel the format that its mapping reads, or use another mapping.",
            "format: x12",
        ),
        "C143": (
            "Give the route a mapping and a record for an API of records, a mapping alone for `send: message`"
            ", neither for `send: original`.",
            "send: original     # and `mapping:` in its route",
        ),
        "C144": (
            "Write `carries: {phi: true}` once it is agreed that this receiver may have whole messages.",
            "send: original",
        ),
        "C145": (
            "Add `query` to the operation: a GET that finds what this call made.",
            "repeat_safety: query_before_retry",
        ),
        "C146": (
            "Add an entry `message: hl7v2` to the mapping's `emit`, or name another mapping.",
            "send: message     # and a mapping of records",
        ),
        "C147": (
            "Name a mapping with `source: {format: record}` that makes JSON, or leave `body` out.",
            "body: adt-admit",
        ),
        "C148": (
            "Name a time with its offset, or a status with a rank.",
            "stale: {newer_wins: event_time}",
        ),
        "C149": (
            "Write the same rate and burst at all APIs of the credential, or `per: api`.",
            "limits: {rate: 20/s, per: credential}     # and another with this auth says 50/s",
        ),
        "C150": ("Name the folder that holds channels/ with --config.", "bridge check --config /etc/bridge"),
        "C151": ("Write channels/NAME.yaml.", "channels/ehr-adt.yaml"),
        "C152": (
            "Give the user of the bridge the right to read it; put files and nothing else there.",
            "chmod 640 channels/adt.yaml",
        ),
        "C153": ("Copy the file into the folder.", "channels/adt.yaml -> /srv/adt.yaml"),
        "C154": ("Rename it, so that it ends in .yaml.", "channels/adt.yml"),
        "C155": ("Move what is not needed out of the folder.", "an archive below channels/"),
        "C160": ("Correct the variable, or unset it.", "BRIDGE_ADMIN_PORT=http"),
        "C161": (
            "Provide the secret: set the variable, or write the file and let its owner alone read it. "
            "One that goes into a header or a login is one line of visible ASCII.",
            "chmod 600 secrets/ehr",
        ),
        "C170": ("Add the value to the environment's file, or correct the name.", "base_url: value://erh"),
        "C171": (
            "Let `value://NAME` stand alone, for one whole value of a channel or API file.",
            "path: /value://site/{key}",
        ),
        "C172": ("Name one of channels/environments/.", "bridge run --environment prod"),
        "C180": (
            "Name the team, and how to reach it now.",
            "api: rcm.charges     # and no `owner: {team: rcm, oncall: ...}`",
        ),
        "C181": ("Send to the process or system API that is behind it.", "layer: experience"),
        "C182": (
            "Send to the API that took its place, or take the route out.",
            "lifecycle: {state: retired}",
        ),
        "C183": (
            "See with its owner when it will be active, or what takes its place.",
            "lifecycle: {state: deprecated, sunset: 2027-06-30}",
        ),
        "C184": (
            "Take the field out of `send_only`, protect it, or let the API carry its class once agreed.",
            "carries: {phi: true}     # and an amount in send_only",
        ),
        "C185": (
            "Write `carries` with the classes that are agreed; then nothing above them leaves.",
            "base_url: https://ehr.example     # and no `carries`",
        ),
        "C186": (
            "Name a field of `send_only`, and a way that fits its kind.",
            "protect: {fields: {birth_date: mask}}",
        ),
        "C187": (
            "Put {key} into the path, or key into `send_only`.",
            "repeat_safety: natural_key     # and path: /charges",
        ),
        "C188": (
            "See who can log in to this machine; over a network it would be refused.",
            "base_url: http://127.0.0.1:8080",
        ),
        "C189": (
            "Set the flow up as its pattern wants it, or name the pattern that it follows.",
            "pattern: synchronous     # and acknowledge: journaled",
        ),
        "C192": (
            "Correct it: a file of consents counts whole or not at all.",
            '{"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/NORTH:1"}, '
            '"provision": {"type": "permit"}}',
        ),
        "C193": (
            "Say what is to be asked of whom.",
            "consent: {mode: strict, purpose: HPAYMT, file: consents.ndjson}",
        ),
        "C194": (
            "Let the call that makes the record capture it.",
            "createOrder: {method: POST, path: /orders, send_only: [key], capture: {order_id: /id}}",
        ),
        "C195": (
            "Let the routes of a flow stand in the order in which they go.",
            "after: [invoice]     # and invoice stands below",
        ),
        "C196": (
            "Name an operation of the step's API, or by_hand; and the steps that come after it.",
            "undo: cancelEncounters     # and the API has cancelEncounter",
        ),
        "C197": (
            "Keep the order of each patient by itself, so that one who has not decided holds up nobody else.",
            "order_by: PID-3(5=MR)     # and consent: {mode: strict, ...} at the API",
        ),
        "C200": (
            "Correct the name or the document; `bridge apis lint FILE` looks at the whole of it.",
            "contract: {openapi: contracts/rcm-2.1.yaml}     # and there is rcm-2.1.0.yaml",
        ),
        "C201": (
            "Correct method or path of the operation, or take the contract of the version that has it.",
            "path: /encounter/{key}     # and the contract has /encounters/{id}",
        ),
        "C202": (
            "Add the field to `send_only`, take it out, or make the body with a mapping (`body:`).",
            "send_only: [key]     # and the contract requires status",
        ),
        "C203": ("Add it to `params` or `headers`.", "params: {}     # and the contract requires site"),
        "C204": (
            "Make the body with a mapping (`body:`) that turns the value into what is wanted.",
            "send_only: [key, units]     # and the contract wants an integer",
        ),
        "C205": ("Name a credential, or further scopes, in `auth`.", "auth: none"),
        "C206": ("Ask the API's owner what comes after it, and by when.", "deprecated: true"),
        "C207": (
            "Correct one that is none. Else nothing need be done; "
            "or ask for one without `(?=`, `(?<=` and back references.",
            "pattern: '^(?=.*[0-9]).*$'",
        ),
        "C208": (
            "Leave `contract` out.",
            "file: {directory: /out}\ncontract: {openapi: contracts/lab.yaml}",
        ),
        "C209": (
            "Write what takes its callbacks, or let it be asked with `poll`.",
            "confirm: {callback: /id}     # and no file says confirms: rcm.claims",
        ),
        "C210": (
            "Add `adds` to `send_only`, which then names such lists, or make the body with a mapping that "
            "reads `$.adds(*)`.",
            "send_only: [key, identifiers]     # and the mapping says `mode: add` of them",
        ),
        "C211": (
            "Write an API file with `acknowledges:` and `send: original`, and a channel for what comes back; "
            "or leave `acknowledged` out of `collect`.",
            "acknowledged: {within: 24h}     # and no file says acknowledges: payer.claims",
        ),
        "C190": ("Write what the hint says instead, or leave it out.", "stage: shadow"),
        "C191": ("Leave it out, or leave it for a later version.", "slo: {silence: 30m}"),
        "C198": (
            "Put back what the site's version control has, or sign again.",
            "approvals/3f2a91c0d4e7/bob.approve.json     # cut off",
        ),
        "C199": (
            "Put back the file as it was approved, or have the change approved: `bridge bundle` shows what "
            "differs, `bridge bundle propose` asks for it, and another person runs `bridge approve`.",
            "channels/adt.yaml     # changed by hand on the machine",
        ),
    }
)
