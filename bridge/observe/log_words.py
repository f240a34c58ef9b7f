"""What the lines of the log say that somebody may have to do something about: those that README.md lists."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LOG_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "started": "The node runs by its files.",
        "stopped": "The node has ended in order.",
        "refused": "A sender was told that its message must not come again as it is; the reason stands "
        "with it.",
        "quarantined": "A message or a delivery needs a person: `bridge quarantine list`.",
        "not-delivered": "A call has failed; the reason stands with it, and when it is tried again.",
        "attempt-fault": "A fault of the bridge in a call, by its type and place: report it. The call has an "
        "outcome, `fault-of-ours`, and its delivery goes again.",
        "feed-fault": "A fault of the bridge in feeding an old engine, by its type and place: report it. The "
        "message or file is kept and tried again, what must come after it waits, and all else goes on.",
        "operation-stopped": "An operation of an API is left alone for a while, since its calls fail.",
        "operation-is-back": "An operation takes calls again, and all that waited goes.",
        "paused": "A person has stopped a channel, a route or an API.",
        "resumed": "What a person had stopped goes on.",
        "reloaded": "The node runs by the files of now.",
        "not-reloaded": "The files have mistakes, or were not approved: the node runs on by those it had.",
        "journal-unavailable": "Something could not be written to the journal; senders hear AE meanwhile.",
        "journal-away": "The journal's database is not reached; all waits until it is.",
        "journal-back": "The journal's database is reached again, and all goes on.",
        "journal-at-risk": "A setting of the database endangers what was committed: `bridge doctor` "
        "says which.",
        "journal-in-doubt": "An older copy of the journal was put back: all channels are paused, and "
        "nothing is deleted, until a person has looked (`bridge resume --all`).",
        "journal-keys-taken": "New keys of the journal are in use.",
        "commit-found-again": "A commit whose answer was lost is in the journal all the same.",
        "deliveries-recovered": "Calls that were under way when the process died: they are AMBIGUOUS now.",
        "traces-not-told": "The collector of traces is not reached; they are told once it is.",
        "journal-file-gone": "The journal's file was moved away, deleted or replaced under the node, which "
        "takes nothing since: put it back, or restore a backup.",
        "journal-file-is-back": "The journal's file is in its place again.",
        "not-kept-beside": "The file `.state` beside the journal could not be written: an older copy of the "
        "journal would not be noticed.",
        "log-lines-lost": "So many lines of the log could not be written before this one: its disk was "
        "full, or nobody read it.",
        "clock-set-back": "The machine's clock is behind the journal: the node's time waits for it.",
        "clock-behind": "At the start the machine's clock was far behind the journal; what comes is dated "
        "by it. Set it right, best before senders connect.",
        "clock-doubtful": "The clock is far ahead of what has passed: nothing is deleted by it for a day.",
        "disk-low": "Less is free on the journal's disk than `BRIDGE_DISK_RESERVE` says: nothing new is "
        "taken, senders hear AE, and what was taken goes on. Make room; it ends by itself.",
        "disk-has-room-again": "The journal's disk has a quarter more than its reserve: messages are taken "
        "again.",
        "left-behind": "Work is open for a channel or an API that no file names any more.",
        "application-ack-not-taken": "A sender's listener did not confirm an acknowledgement; it goes again.",
        "application-ack-given-up": "A sender's listener never confirmed an acknowledgement: tell the "
        "sender.",
        "sender-refused": "A sender was refused before its first message, for a reason of TLS or of limits.",
        "secret-not-used": "A secret cannot be used as it is, as one with two lines.",
        "token-not-had": "A token server gives no token; its status and its error, where that is a known "
        "word, stand with it. Told once, until it is otherwise.",
        "certificate-reloaded": "The certificates of now are in use for new connections.",
        "certificate-not-reloaded": "A certificate, key or list cannot be used: the one before stays in use.",
        "file-held-up": "A file cannot go on; what to do stands with it.",
        "file-grew-after-it-was-taken": "A file was written to after it was taken: its sender does not "
        "name it only once it is whole.",
        "file-replaced-while-taken": "Another file has the name of one that was just taken; it stays, and "
        "is taken by itself.",
        "claimed-file-gone": "A file that the bridge had claimed was taken out of `.bridge-claims` "
        "before it was read: none of its messages were taken.",
        "files-out-of-reach": "A folder or a server of files cannot be looked at; it is tried again.",
    }
)
"""By the word that stands as `event`."""
