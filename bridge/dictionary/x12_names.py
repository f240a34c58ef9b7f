"""What the segments and elements of X12 are for, in plain words: those that health care and its supplies use.

Short words of our own for what a place holds, so that a sheet or a coverage can be read; the definitions
are in the standard and its implementation guides. Elements that are left empty here have no use in them.
"""

from __future__ import annotations

from typing import Final

SEGMENTS: Final = """
ISA interchange header: authorization kind; authorization; security kind; security; sender ID kind; sender; receiver ID kind; receiver; date; time; repetition separator; version; control number; acknowledgement asked for; test or production; component separator
IEA interchange trailer: number of groups; control number
GS group header: functional code; sender; receiver; date; time; control number; agency; version and implementation
GE group trailer: number of transactions; control number
ST transaction header: transaction; control number; implementation
SE transaction trailer: number of segments; control number
BHT beginning of hierarchy: structure; purpose; reference; date; time; kind of transaction
BPR payment: handling; amount; credit or debit; method; format; bank ID kind; bank ID; account kind; account; originator; originator, more; receiving bank ID kind; receiving bank ID; receiving account kind; receiving account; payment date
BGN beginning: purpose; reference; date; time
BEG beginning of purchase order: purpose; kind of order; order number; release number; date; contract
BIG beginning of invoice: invoice date; invoice number; order date; order number; release number; change order; kind of invoice; purpose
AMT amount: what it is; amount; credit or debit
CAS adjustment: group; reason; amount; quantity; reason, 2nd; amount, 2nd; quantity, 2nd; reason, 3rd; amount, 3rd; quantity, 3rd; reason, 4th; amount, 4th; quantity, 4th; reason, 5th; amount, 5th; quantity, 5th; reason, 6th; amount, 6th; quantity, 6th
CL1 stay: kind of admission; source of admission; patient status
CLM claim: patient control number; total charge; ; ; place of service | facility code | facility code kind | frequency; provider signature on file; assignment accepted; benefits assigned; release of information; patient signature; related causes; special program; ; ; ; ; ; ; ; delay reason
CLP claim payment: patient control number; status; charged; paid; patient responsibility; filing indicator; payer claim number; facility kind; frequency; ; DRG; DRG weight; discharge share
CN1 contract: kind; amount; percent; code; terms discount; version
CR1 ambulance: unit; weight; ; reason; distance unit; distance; ; ; reason in words; stretcher purpose
CRC conditions: category; applies; condition; condition, 2nd; condition, 3rd; condition, 4th; condition, 5th
CTP price: class; price kind; unit price; quantity; unit
CTT totals: number of lines; hash total
CUR currency: whose; currency; rate; of party; of currency
DMG demographics: date format; birth date; sex; marital status; race or ethnicity
DN1 orthodontics: months; months left; ; in words
DN2 tooth: tooth; status; quantity; ; ; code list
DTM date: what it is; date; time; time zone; period format; period
DTP date or period: what it is; format; date or period
EB benefit: benefit; level; service type; insurance type; plan; period; amount; percent; quantity kind; quantity; authorization needed; in network; procedure
FRM form answer: question; yes or no; text; date; percent
FOB freight terms: who pays; place kind; place
G62 date: what it is; date; time kind; time
HCP repricing: method; allowed; saved; organization; rate; group; group amount; revenue code; procedure kind; procedure; unit; quantity; reject reason; compliance; exception
HI health care codes: code | code list | code | date format | date | amount | quantity | version | ; code, 2nd | code list | code; code, 3rd | code list | code; code, 4th | code list | code; code, 5th | code list | code; code, 6th | code list | code; code, 7th | code list | code; code, 8th | code list | code; code, 9th | code list | code; code, 10th | code list | code; code, 11th | code list | code; code, 12th | code list | code
HL level: number; parent; kind of level; has children
INS member: subscriber; relationship; maintenance; reason; benefit status
IT1 invoice line: line; quantity; unit; unit price; price basis; item ID kind; item ID; item ID kind, 2nd; item ID, 2nd; item ID kind, 3rd; item ID, 3rd; item ID kind, 4th; item ID, 4th
ITD payment terms: kind; basis of the date; discount percent; discount until; discount days; net until; net days; discount; ; ; ; in words
K3 fixed-format text: text
LIN item: line; item ID kind; item ID
LQ code: code list; code
LX line number: number
MEA measurement: what for; what; value; unit
MIA inpatient adjudication: covered days; operating outlier; lifetime psychiatric days; DRG amount; remark; disproportionate share; MSP pass-through; PPS capital; capital FSP; capital HSP; capital DSH; old capital; capital IME; operating hospital; cost report days; operating federal; capital PPS outlier; indirect teaching; nonpayable; remark, 2nd; remark, 3rd; remark, 4th; remark, 5th; capital exception
MOA outpatient adjudication: reimbursement rate; payable; remark; remark, 2nd; remark, 3rd; remark, 4th; remark, 5th; ESRD amount; professional component
MSG message: text
N1 party: role; name; ID kind; ID
N2 further names: name; name, 2nd
N3 street address: line 1; line 2
N4 city: city; state; postal code; country; place kind; place; subdivision
N9 reference: what it is; reference; in words
NM1 name: role; person or organization; last name or organization; first name; middle name; prefix; suffix; ID kind; ID
NTE note: kind; text
OI other insurance: filing indicator; ; benefits assigned; patient signature; ; release of information
PAT patient: relationship; place; employment; student; date format; date of death; unit; weight; pregnant
PER contact: role; name; number kind; number; number kind, 2nd; number, 2nd; number kind, 3rd; number, 3rd
PID item description: how it is written; characteristic; agency; code; text
PLB provider adjustment: provider; end of fiscal year; reason | reason | reference; amount; reason, 2nd | reason | reference; amount, 2nd; reason, 3rd | reason | reference; amount, 3rd; reason, 4th | reason | reference; amount, 4th; reason, 5th | reason | reference; amount, 5th; reason, 6th | reason | reference; amount, 6th
PO1 order line: line; quantity; unit; unit price; price basis; item ID kind; item ID; item ID kind, 2nd; item ID, 2nd; item ID kind, 3rd; item ID, 3rd; item ID kind, 4th; item ID, 4th
PRV provider: role; ID kind; taxonomy code
PWK attachment: kind; how sent; ; ; ID kind; control number
QTY quantity: what it is; quantity; unit
RDM remittance delivery: how; name; number
REF reference: what it is; reference; in words
SAC allowance or charge: allowance or charge; code; agency; agency code; amount
SBR subscriber: order of payers; relationship; group number; group name; insurance type; coordination; ; ; filing indicator
STC claim status: status | category | code | entity | code list; date; action; charged; paid; payment date; method; check date; check number; status, 2nd | category | code | entity; status, 3rd | category | code | entity; message
SV1 professional service: procedure | code list | code | modifier | modifier, 2nd | modifier, 3rd | modifier, 4th | in words; charge; unit; quantity; place of service; ; diagnosis pointers | 1st | 2nd | 3rd | 4th; ; emergency; ; screening; family planning; ; ; copay
SV2 institutional service: revenue code; procedure | code list | code | modifier | modifier, 2nd | modifier, 3rd | modifier, 4th | in words; charge; unit; quantity; rate; not covered
SV3 dental service: procedure | code list | code | modifier | modifier, 2nd | modifier, 3rd | modifier, 4th | in words; charge; place of service; oral cavity; prosthesis; quantity; ; ; ; ; diagnosis pointers
SV5 equipment: procedure; unit; quantity; rental price; purchase price; rental unit
SVC service: procedure | code list | code | modifier | modifier, 2nd | modifier, 3rd | modifier, 4th | in words; charged; paid; revenue code; units paid; procedure sent | code list | code | modifier; units sent
SVD service of another payer: payer; paid; procedure | code list | code | modifier; revenue code; units; line it was bundled into
TD5 routing: order; carrier ID kind; carrier; mode; routing
TDS total: total; subject to discount; with discount; discount
TOO tooth: code list; tooth; surfaces
TRN trace: whose trace; number; originator; more
TS2 provider summary: DRG amount; federal; hospital; disproportionate share; capital; indirect teaching; outlier days; day outlier; cost outlier; length of stay; discharges; DRG share
TS3 provider summary: provider; facility kind; end of fiscal year; claims; charges
TXI tax: kind; amount; percent
"""  # noqa: E501 - a table
