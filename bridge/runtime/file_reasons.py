"""What a file is refused or fails for, beside what its format says."""

from __future__ import annotations

from typing import Final

NOT_READABLE: Final = "not-readable"
TOO_LARGE: Final = "too-large"
REASONS: Final = {
    "empty": "The file is empty.",
    TOO_LARGE: "The file is larger than `max_size` of its channel.",
    "sent-before": "A file with the same content came before.",
    "out-of-balance": "A batch in it is not as its trailer says: `bridge batches` shows where.",
    "no-totals": "A batch in it does not say how much it holds.",
    "no-business-date": "The day that it is of cannot be told; see `business_date` of its channel.",
    "rerun": "A file of the same business date came before, and its channel takes no second one.",
    NOT_READABLE: "The bridge's user has no right to read it: give it that, and put the file back.",
    "damaged": "Its bytes beside the journal are not those that came.",
}
