"""What the segments and elements of EDIFACT are for, in plain words: orders, despatches and invoices.

Short words of our own for what a place holds; the definitions are in ISO 9735 and the directory D.96A.
"""

from __future__ import annotations

from typing import Final

SEGMENTS: Final = """
UNB interchange header: syntax | repertoire | version; sender | ID | ID kind; recipient | ID | ID kind; prepared | date | time; control reference; password; application; priority; acknowledgement asked for; agreement; test
UNZ interchange trailer: number of messages or groups; control reference
UNG group header: kind of messages; sender | ID | ID kind; recipient | ID | ID kind; prepared | date | time; group reference; agency; version | version | release | association
UNE group trailer: number of messages; group reference
UNH message header: message reference; message | type | version | release | agency | association; access reference; transfer | sequence | first or last
UNT message trailer: number of segments; message reference
UNS section control: which section
AJT adjustment: reason; line
ALC allowance or charge: allowance or charge; number | number | agreed; settlement; sequence; service | code | code list | agency | in words | in words, 2nd
ALI additional information: country of origin; duty regime; conditions; conditions, 2nd
BGM beginning of message: document | code | code list | agency | name; number; function; response asked for
CCI characteristic: property; measurement; characteristic | code | code list | agency | in words
CNT control total: control | what it counts | value | unit
COM communication: contact | number | channel
CPS consignment packing: number; parent; level
CTA contact: function; department or employee | ID | name
CUX currency: reference currency | usage | currency | role; target currency | usage | currency | role; rate
DOC document: document | code | code list | agency | name; details | number | status | source
DTM date: date | what it is | value | format
EQD equipment: kind; ID; size
ERC application error: error | code | code list | agency
FTX free text: subject; function; text by code | code | code list | agency; text | line 1 | line 2 | line 3 | line 4 | line 5; language
GIN goods identity: number kind; number | first | last; number, 2nd | first | last; number, 3rd | first | last; number, 4th | first | last; number, 5th | first | last
GIR related numbers: set; number | number | kind; number, 2nd | number | kind; number, 3rd | number | kind
HAN handling: instruction | code | code list | agency | in words
IMD item description: how it is written; characteristic; description | code | code list | agency | in words | in words, 2nd | language; surface
LIN line item: line; action; item | number | number kind; sub-line; level
LOC place: what it is; place | ID | code list | agency | name
MEA measurement: what for; what | dimension | significance; value | unit | value | least | most; surface
MOA amount: amount | what it is | value | currency | currency role | status
NAD party: role; ID | ID | code list | agency; name and address | line 1 | line 2 | line 3; name | line 1 | line 2 | line 3; street | line 1 | line 2 | line 3; city; state; postal code; country
PAC package: number; details; kind | code | code list | agency | in words
PAT payment terms: kind; terms | code | code list | agency | in words; time | reference | relation | period | number
PCD percent: percent | what it is | value | basis
PCI package marks: instruction; marks | line 1 | line 2
PIA further item numbers: what for; number | number | kind | code list | agency; number, 2nd | number | kind | code list | agency; number, 3rd | number | kind | code list | agency; number, 4th | number | kind | code list | agency; number, 5th | number | kind | code list | agency
PRI price: price | what it is | value | type | kind | basis | unit
QTY quantity: quantity | what it is | value | unit
QVR quantity variance: variance | value | what it is; reason; reason in words | code | code list | agency | in words
RFF reference: reference | what it is | number | line | version
RNG range: what it is; range | unit | least | most
RTE rate: rate | what it is | value | basis | unit
SCC scheduling: status; commitment; pattern | frequency | pattern
STG stages: what it is; number; done
TAX duty or tax: function; kind | code | code list | agency | in words; account | code; assessed on; details | code | code list | agency | percent | basis; category; party ID
TDT transport: stage; reference; mode | code; means | code | in words; carrier | ID | code list | agency | name
TOD terms of delivery: function; payment of freight; terms | code | code list | agency | in words
"""  # noqa: E501 - a table
