"""What a file is refused or fails for, beside what its format says."""

from __future__ import annotations

from typing import Final

NOT_READABLE: Final = "not-readable"
TOO_LARGE: Final = "too-large"
EMPTY: Final = "empty"
REASONS: Final = {
    EMPTY: "The file is empty.",
    TOO_LARGE: "The file is larger than `max_size` of its channel.",
    "sent-before": "A file with the same content came before.",
    "out-of-balance": "A batch in it is not as its trailer says: `bridge batches` shows where.",
    "no-totals": "A batch in it does not say how much it holds.",
    "no-business-date": "The day that it is of cannot be told; see `business_date` of its channel.",
    "rerun": "A file of the same business date came before, and its channel takes no second one.",
    NOT_READABLE: "The bridge's user has no right to read it: give it that, and put the file back.",
    "damaged": "Its bytes beside the journal are not those that came.",
}
"""What is said of a file by itself. What is wrong with its content says where, and what stands there."""
OF_CONTENT: Final = {
    "archive-damaged": "It is no ZIP archive, or is damaged.",
    "archive-encrypted": "An entry of the archive is encrypted with a password: PGP is undone, by `decode`.",
    "archive-entries": "The archive has more entries than `decode` allows.",
    "archive-link": "The archive holds a link or a device, and not only files.",
    "archive-method": "The archive is packed in a way that is not taken: expected deflate.",
    "archive-name": "The archive holds a name that leads out of it.",
    "bad-delimiters": "The ISA of an interchange does not name three different separators.",
    "bad-isa": "The ISA of an interchange has not the 16 elements, each of its width, that it must have.",
    "bad-separators": "The UNA or UNB of an interchange does not name separators that can be read.",
    "bytes-after-interchange": "Behind an interchange stands something that is no other one.",
    "bytes-before-message": "Something stands before the first message; HL7 begins with MSH, BHS or FHS.",
    "charset": "It is not in the character set that `decode` names.",
    "column-names": "Its first row has not the columns that the format of the channel names.",
    "compressed-cut": "It is compressed, and ends before its end: have it sent whole.",
    "compressed-damaged": "It is not compressed as `decode` says, or is damaged.",
    "decoded-ratio": "It decodes to more than `max_ratio` times its size.",
    "decoded-too-large": "It decodes to more than `max_decoded` allows.",
    "decryption": "GnuPG could not decrypt it: is it encrypted, and for a key in the `home` of `decode`?",
    "doctype": "This XML has a document type (DOCTYPE), which could name other files: have it left out.",
    "grows-too-much": "Its header stands before each of its records, which makes too much of it.",
    "header-too-large": "What stands around its records is too large to go with each of them.",
    "long-row": "A row is longer than the format of the channel says.",
    "message-too-large": "A message in it is larger than `max_message` of its channel.",
    "name-too-long": "A name in this XML has too many characters.",
    "no-array": "It is not one whole JSON array.",
    "no-csv": "A row is no CSV as the format of the channel says: see its separator and quotes.",
    "no-isa": "It holds no X12 interchange: expected ISA.",
    "no-message": "It holds no HL7 message: expected MSH.",
    "no-record": "It holds no element of the name that the format of the channel takes for a record.",
    "no-se": "A transaction ends without SE: it may be cut short.",
    "no-unb": "It holds no EDIFACT interchange: expected UNA or UNB.",
    "no-unt": "A message ends without UNT: it may be cut short.",
    "no-xml": "It holds no XML.",
    "not-in-charset": "A row is not in the character set that the format of the channel names.",
    "not-packed": "A packed number holds what is no digit and no sign.",
    "not-well-formed": "It is no well-formed XML.",
    "pgp-missing": "GnuPG or its folder is missing: install gnupg and the extra `pgp`, and see `home`.",
    "quote-not-closed": "A quote in a row is not closed.",
    "ragged-row": "A row has more or fewer values than there are columns.",
    "row-after-trailer": "A row stands after the trailer.",
    "row-too-large": "A row is larger than `max_message` of its channel.",
    "segment-outside": "A segment stands outside of a message: something before it is missing.",
    "short-row": "A row is shorter than the format of the channel says.",
    "signature": "It is not signed by a key that the `home` of `decode` holds and trusts.",
    "token-too-large": "A tag or a comment in this XML is too large, or never ends.",
    "too-deep": "What it holds stands too deep in each other.",
    "too-many-attributes": "An element of this XML has too many attributes.",
    "too-many-batches": "It holds more batches than are taken in one file.",
    "too-many-elements": "A message of this XML has too many elements.",
    "too-many-names": "This XML has too many different names.",
    "unknown-charset": "This XML declares a character set that is not read.",
    "unknown-row": "A row is of no kind that the format of the channel knows.",
    "wrapped-unevenly": "Lines are cut in the middle of segments, and not all at the same width.",
    "wrong-charset": "This XML is not in the character set that it declares.",
}
"""What its content is held against, by decoders and formats: the first that is wrong."""
