"""What an X12 999, 997 or TA1 says of an interchange that was sent. Pure.

005010X231A1 and X12 element 715 (AK901), 717 (IK501): A is accepted, E accepted with errors, P in part, R, M,
W and X rejected. A group is named by GS06 alone (AK102), a transaction by ST02 (AK202). TA1 is of an
interchange, by ISA13: A or E say that it has come, R that none of it is taken. What IK404 copies from the
message is left where it is.
"""

from __future__ import annotations

from typing import Final

from bridge.formats.acknowledged import Acknowledgement, NotAcknowledging, Said, Word, codes
from bridge.formats.x12 import X12Message

ST02_MAX_CHARACTERS: Final = 9
_GROUP_STEP: Final = 10_000_000
"""GS06 of a group is the file's number, and so much more for each group before it, `x12_gathered`."""
_WORDS: Final = {
    "A": Word.ACCEPTED,
    "E": Word.ERRORS,
    "P": Word.ACCEPTED,
    **dict.fromkeys("RMWX", Word.REJECTED),
}
_RESULT: Final = {"999": "IK5", "997": "AK5"}
_SEGMENT: Final = {"999": "IK3", "997": "AK3"}
_ELEMENT: Final = {"999": "IK4", "997": "AK4"}


def x12_acknowledgement(body: bytes) -> Acknowledgement:
    """What it says. Raises NotAcknowledging."""
    message = X12Message.read(body)
    if message.refused is not None:
        raise NotAcknowledging(f"expected a 999, 997 or TA1: {message.refused.code}")
    match message.message_type:
        case "TA1":
            return _interchange(message)
        case "999" | "997" as kind:
            return _group(message, kind)
    raise NotAcknowledging("expected a 999, 997 or TA1, and another transaction came")


def _interchange(message: X12Message) -> Acknowledgement:
    [ta1, *_] = message.named("TA1")
    word = {"A": Word.ACCEPTED, "E": Word.ERRORS, "R": Word.REJECTED}.get(ta1.field(4))
    if word is None:
        raise NotAcknowledging("expected A, E or R in TA104")
    noted = codes(["TA1", ta1.field(4), ta1.field(5)])
    rest = Word.REJECTED if word is Word.REJECTED else None
    return Acknowledgement(_number(ta1.field(1), "TA101"), rest=rest, codes=noted, envelope=word)


def _group(message: X12Message, kind: str) -> Acknowledgement:
    ak1, ak9 = message.named("AK1"), message.named("AK9")
    if len(ak1) != 1 or len(ak9) != 1:
        raise NotAcknowledging("expected one AK1 and one AK9")
    group, verdict = _number(ak1[0].field(2), "AK102"), _WORDS.get(ak9[0].field(1))
    if verdict is None:
        raise NotAcknowledging("expected A, E, P, R, M, W or X in AK901")
    said = _transactions(message, kind, group)
    rejected = sum(each.word is Word.REJECTED for each in said)
    if (ak9[0].field(1) == "A" and rejected) or (verdict is Word.REJECTED and rejected < len(said)):
        raise NotAcknowledging("AK9 says another thing than what stands before it")
    rest = Word.REJECTED if verdict is Word.REJECTED else Word.ACCEPTED
    noted = codes(["AK9", ak9[0].field(1)], [ak9[0].field(number) for number in range(5, 10)])
    found = ak9[0].field(3)
    count = int(found) if found.isascii() and found.isdigit() and len(found) <= 9 else None
    return Acknowledgement(group % _GROUP_STEP, f"{group}-", tuple(said), rest, noted, count)


def _transactions(message: X12Message, kind: str, group: int) -> list[Said]:
    """What stands between AK2 and IK5, for each transaction."""
    said: dict[str, Said] = {}
    called, noted, segment = "", [[""]], ["", ""]
    for each in message.segments:
        if each.name == "AK2":
            if called:
                raise NotAcknowledging("an AK2 has no result: expected IK5, or AK5 in a 997")
            if not 0 < len(each.field(2).strip()) <= ST02_MAX_CHARACTERS:
                raise NotAcknowledging("expected the number of a transaction in AK202")
            called, noted = f"{group}-{each.field(2).strip()}", []
            if called in said:
                raise NotAcknowledging("two AK2 are of one transaction")
        elif each.name == _SEGMENT[kind]:
            segment = [each.field(1), each.field(2)]
            noted.append([*segment, each.field(3), each.field(4)])
        elif each.name == _ELEMENT[kind]:
            noted.append([segment[0], f"{segment[1]}-{each.field(1)}", each.field(3)])
        elif each.name == _RESULT[kind]:
            word = _WORDS.get(each.field(1))
            if word is None or not called or each.field(1) == "P":
                raise NotAcknowledging(f"expected A, E, R, M, W or X in {each.name}01, behind an AK2")
            result = [each.field(1), *(each.field(number) for number in range(2, 7))]
            said[called] = Said(called, word, codes(result, *noted) if each.field(1) != "A" else "")
            called = ""
    if called:
        raise NotAcknowledging("an AK2 has no result: expected IK5, or AK5 in a 997")
    return list(said.values())


def _number(text: str, place: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and len(text) <= 9):
        raise NotAcknowledging(f"expected a control number in {place}")
    return int(text)
