"""What `bridge bench` measures with: two messages of known size, a mapping of 40 fields, and one route."""

from __future__ import annotations

from pathlib import Path

from bridge.cli.synthetic import admission

CHANNEL = "ehr-adt"
API = "ehr.patients"
KINDS = ("adt", "oru")
RESULTS = 47
"""OBX segments of the laboratory result, which make it 4 KB."""

_MORE_OF_ADT = (
    "PD1|||NORTH CLINIC^^^^^^XX^^^4711|1234567893^WELBY^MARCUS^^^DR",
    "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives^Swelling|20190412",
    "PV2||||||||20260302|20260306|4|4|Observation after a fall",
    "DG1|1||R07.9^Chest pain, unspecified^I10||20260302|A",
    "OBX|1|NM|8302-2^Body height^LN||172|cm|||||F",
    "IN1|1|PPO^Preferred Provider|62308|INVENTED MUTUAL|PO BOX 1000^^AUSTIN^TX^78701||(800)555-0100|GRP-77",
)
_ORDER = "OBR|1|A1|B2|CMP^Metabolic panel^L|||20260302060000+0000|||||||||1234567893^WELBY^MARCUS"
_ANALYTES = ("GLU^Glucose", "NA^Sodium", "K^Potassium", "CL^Chloride", "CREA^Creatinine", "UREA^Urea")

CHANNEL_FILE = """\
channel: ehr-adt
owner: bench
description: One feed, one mapping, one API.
source:
  mllp: {listen: "tcp:0:interface=127.0.0.1", max_connections_per_peer: 512}
accept: [ACCEPTED]
otherwise: OTHERWISE
order_by: PID-3(5=MR)
routes:
  - route: patient
    mapping: bench
    record: patient
    to: {api: ehr.patients, operations: {upsert: putPatient}}
"""

API_FILE = """\
api: ehr.patients
base_url: URL
auth: none
repeat_safety: header
limits: {in_flight: 64}
retry: {base: 100ms, cap: 1s}
breaker: {open: 1s, open_max: 2s}
operations:
  putPatient:
    method: PUT
    path: /patients/{key}
    send_only: [SENT]
"""

FIELDS = {
    "family": "PID-5.1", "given": "PID-5.2", "middle": "PID-5.3", "suffix": "PID-5.4", "prefix": "PID-5.5",
    "birth_date": "{from: PID-7, on_error: null}", "sex": "{from: PID-8, translate: sex, unmapped: null}",
    "ethnicity": "PID-22.1", "phone": '"PID-13.1 | digits"', "work_phone": '"PID-14.1 | digits"',
    "line1": "PID-11.1", "line2": "PID-11.2", "city": "PID-11.3", "state": "PID-11.4",
    "postal_code": "PID-11.5", "country": "PID-11.6", "language": "PID-15.1", "marital_status": "PID-16.1",
    "religion": "PID-17.1", "account_number": "PID-18.1", "mother_maiden_name": "PID-6.1",
    "deceased_at": "{from: PID-29, on_error: null}", "deceased": "{from: PID-30, on_error: null}",
    "confidentiality": "[PV1-16, PD1-12]", "citizenship": "PID-26.1",
    "birth_order": "{from: PID-25, on_error: null}",
}  # fmt: skip
"""With two identifiers of three parts, next of kin with five, and the key's three, 40 values of a message."""

MAPPING_FILE = """\
mapping: bench
version: 1.0.0
owner: bench
target: canonical/1
source:
  format: hl7v2
  accept: [ADT^A01, ADT^A08, ORU^R01]
  timezone: America/Chicago
tables:
  sex: {F: female, M: male, O: other, U: unknown}
let:
  site:      MSH-4.1
  mrn:       PID-3(5=MR).1
  authority: [PID-3(5=MR).4.1, site]
emit:
  - record: patient
    key: join(':', authority, mrn)
    on_reject: fail_message
    set:
      identifiers:
        list:
          - {system: authority, value: mrn, type: {const: MR}}
          - {system: {const: us-ssn}, value: "PID-3(5=SS).1 | digits", type: {const: SS}}
      relatives:
        list:
          - relationship: NK1-3.1
            family: NK1-2.1
            given: NK1-2.2
            phone: "NK1-5.1 | digits"
            role: NK1-7.1
"""


def message(kind: str, patient: int, control_id: str) -> bytes:
    """An admission of 1 KB (``adt``), or a laboratory result of 4 KB (``oru``), about a patient nobody is."""
    known = admission(patient, 1, "A08", control_id=control_id)
    header, event, _, kin, visit, *_ = known.body.decode().split("\r")
    full = (
        f"PID|1||{known.patient}^^^NORTH^MR~{900000000 + patient}^^^USSSA^SS||ABEL^ADA^Q^JR^DR^^L|CASTRO|"
        f"19{40 + patient % 60}0{1 + patient % 9}1{patient % 10}|F|||1 ELM STREET^APT 2^AUSTIN^TX^78701^USA||"
        f"(512)555-{patient % 10000:04}|(512)555-0199|en|M|CHR|AC-{known.patient}^^^NORTH^AN||||N||N|1|US|||"
        "20260301|N"
    )
    segments = [header, event, full, kin, visit, *_MORE_OF_ADT]
    if kind == "oru":
        segments = [header.replace("ADT^A08^ADT_A01", "ORU^R01^ORU_R01"), full, kin, visit, _ORDER]
        for number in range(1, RESULTS + 1):
            code, value = _ANALYTES[number % len(_ANALYTES)], f"{number}.{number % 10}"
            segments.append(f"OBX|{number}|NM|{code}^L||{value}|mmol/L^^UCUM|3.5-5.5|N|||F|||20260302070000")
    return "".join(f"{segment}\r" for segment in segments).encode()


def write_bench_site(folder: Path, url: str, *, deliver: bool, engine: int | None = None) -> Path:
    """A configuration folder whose one channel delivers to ``url``, or only keeps and answers; with an old
    engine on a port of its own, it relays, and its route stands there."""
    apis = folder / "channels" / "apis"
    apis.mkdir(parents=True)
    (folder / "mappings").mkdir()
    # Where nothing is delivered, no type that comes is accepted: all are journaled, answered, and no more.
    accepted, otherwise = ("ADT^A08, ORU^R01", "reject") if deliver else ("ADT^A01", "ignore")
    channel = CHANNEL_FILE.replace("ACCEPTED", accepted).replace("OTHERWISE", otherwise)
    if engine is not None:
        channel = channel.replace("mllp: {", "mllp: {acknowledge: relayed, ", 1)
        channel += f'legacy: {{mllp: "tcp:127.0.0.1:{engine}"}}\n'
    (folder / "channels" / f"{CHANNEL}.yaml").write_text(channel)
    sent = ", ".join(("key", "identifiers", "relatives", *FIELDS))
    (apis / f"{API}.yaml").write_text(API_FILE.replace("URL", url).replace("SENT", sent))
    fields = "".join(f"      {name}: {rule}\n" for name, rule in FIELDS.items())
    (folder / "mappings" / "bench.yaml").write_text(MAPPING_FILE + fields)
    return folder
