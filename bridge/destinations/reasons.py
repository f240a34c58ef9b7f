"""What the reasons of attempts mean that are not an API's own answers, and what to do: in the words of who is
woken at night. A test sees that none is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REASONS: Final[Mapping[str, str]] = {
    # Who we are to the API.
    "auth-unavailable": "There is no credential to send: its secret cannot be read, is empty or holds what "
    "no header can, or the token server does not answer. See the node's log, `bridge doctor`, and `auth:` in "
    "the API's file.",
    "auth-refused": "The credential is refused, by the API or by its token server: see whether it has ended. "
    "What a token server said stands in the log, `token-not-had`.",
    "auth-unusable": "The token server answers what is no token: see `token-not-had` in the log, and `auth:` "
    "in the API's file.",
    "auth-key-unusable": "The private key for tokens is no key in PEM, or not of the kind that is asked for.",
    "auth-tls-files-unusable": "The certificate or the key for the token server cannot be used.",
    "sign-key-unavailable": "The key that signs calls cannot be read.",
    "sign-key-unusable": "The key that signs calls is not one, or of another kind.",
    "not-permitted": "The login may not write there: ask for the right.",
    "fault-of-ours": "A fault of the bridge: the line `attempt-fault` of its log says where. Report it; the "
    "delivery goes again by itself.",
    # The way there.
    "name-not-resolved": "No address is known of the API's host: see its name, and DNS.",
    "target-refused": "The address may not be called: see `addresses:` and what the host's name stands for.",
    "connect-failed": "No connection was made: is it running, and may this machine reach it?",
    "connect-timeout": "No connection was made in time: is it running, and does a firewall drop packets?",
    "tls-files-unusable": "The certificate, the key or the authorities of `tls:` cannot be used.",
    "tls-client-certificate": "It refuses our certificate, or that there is none: see `tls:`.",
    "tls-untrusted": "Its certificate is of no authority that `tls: {ca}` has.",
    "tls-untrusted-not-yet-valid": "Its certificate is not valid yet: see the clocks of both.",
    "tls-untrusted-expired": "Its certificate has expired.",
    "tls-untrusted-self-signed": "Its certificate is signed by itself: have `tls: {ca}` name it.",
    "tls-untrusted-issuer-not-authority": "What issued its certificate is no authority, or may not issue so "
    "far down.",
    "tls-untrusted-wrong-purpose": "Its certificate is not one for a server.",
    "tls-untrusted-wrong-host": "Its certificate is another host's.",
    "tls-untrusted-weak-key": "A key in its chain is too short.",
    "tls-untrusted-weak-signature": "A signature in its chain is made with SHA-1 or MD5.",
    "tls-handshake": "TLS was not agreed on: see versions and ciphers on both sides.",
    "tls-not-offered": "It offers no TLS, which is asked for.",
    "disconnected-after-handshake": "It took the TLS connection and closed it: often it refuses our "
    "certificate.",
    "disconnected-before": "The connection was lost before anything left.",
    "disconnected": "The connection was lost after the request had left: whether it arrived is not known.",
    "connection-lost": "The connection was lost while an answer was waited for.",
    "request-timeout": "There was no answer in time: whether it arrived is not known.",
    "publish-timeout": "The stream has not acknowledged in time: whether it has it is not known.",
    "write-timeout": "The writing of the file stands still: see the folder and its server. It goes on where "
    "it can, and none is begun beside it.",
    "write-waits": "The files before it have not moved, so it was not begun: see the folder and its server.",
    "closing": "The node ends, or its files have changed: it goes again at once.",
    # What is to be sent.
    "request-unreadable": "The journaled request cannot be read: keep the journal, and report it.",
    "operation-unknown": "The API's file has no such operation any more: put it back, or retry --remap.",
    "too-large": "It is larger than the receiver takes.",
    "name-refused": "The file's name, as made of the record, is none: see `name:`.",
    # What the patient has decided.
    "consent-unknown": "Nobody knows what the patient has decided: it waits until somebody does, and "
    "`bridge consent PATIENT` shows what there is.",
    "consent-denied": "The patient has said no: it was not sent.",
    "consent-given": "The patient has agreed.",
    "consent-overridden": "A person lets this patient's data through for a while: `bridge consent` says who.",
    "consent-asked-for": "The registry is being asked about the patient.",
    "consent-source-away": "The file, registry or table of consents cannot be had: what it permitted counts "
    "no more after its time, and what it denied still does.",
    "consent-source-broken": "The file of consents has a mistake, which the log shows: what it said before "
    "holds for 24 hours.",
    "consent-patient-unsaid": "The registry's consents refer to a patient by a number of its own: have them "
    "name an identifier, or the answer bring the Patient along, `&_include=Consent:patient`.",
    # What came of it.
    "answer-unreadable": "The answer is none that this kind of API gives: what came of it is not known.",
    "answer-not-fhir": "The status says that it was done, and a page came with it: something else than the "
    "server has answered, as who wants a login. Whether it was done is not known: see `fhir:` and `auth:`.",
    "entries-not-told": "The answer to a transaction does not say what became of each resource: whether they "
    "are there is not known. A server that never says so has no transactions: `transactions: never`.",
    "taken-for-later": "The FHIR server has taken it for later, and has not done it yet: it goes again until "
    "the server says that it is done.",
    "says-not-done": "The status says that it was done, and the answer that it was not, without saying why.",
    "accepted": "The API has taken it for later, and is asked what became of it.",
    "not-yet": "The API has not finished it: it is asked again.",
    "confirmed": "The API says that it is done.",
    "confirmed-failed": "The API took it and says now that it has failed.",
    "confirm-not-declared": "The API took it for later, and its file has no `confirm:` to ask by.",
    "confirm-target-refused": "The place to ask at, as the API names it, is none that may be called.",
    "asked-in-vain": "Whether it arrived was asked and is not told: it is asked again.",
    "found-there": "It was asked for, and is there.",
    "not-to-be-asked": "Whether it arrived is not known, and its file names no way to ask: a person looks.",
    "delivered": "The receiver has it.",
    "kept": "It is kept.",
    "journal-unavailable": "The journal could not be written; it goes again.",
    # The way to a server for files.
    "host-key": "The server shows another key than it must have: ask its owner whether it was exchanged, and "
    "only then add it to `host_keys`.",
    "key-unusable": "Our private key cannot be read: see `key` and `key_passphrase`.",
    "secret": "The secret that logs in cannot be had: provide it.",
    "login-kind": "The server takes no such login: see `password`, `key` and `agent`.",
    "login-refused": "The server refuses the login: see `user`, and whether it knows the password or key.",
    "no-common-algorithm": "The server and the bridge have no algorithm in common: its owner lets it offer "
    "newer ones than SHA-1.",
    "no-such-host": "The server's name is not known: see `host`, and DNS.",
    "no-ssh": "What answers there speaks no SSH: see `host` and `port`.",
    "refused": "Nobody listens there: see `host` and `port`, and whether the server runs.",
    "timeout": "The server did not answer in time: is it running, and does a firewall drop packets?",
    "cut": "The server closed the connection: its log says why.",
    "ssh": "The connection failed while it was made: the server's log says why.",
    "connection": "The connection failed: see the network between, and the server's log.",
    "unknown": "The connection failed in a way that is not known: see the server's log, and report it.",
    # Files.
    "written": "The file is there, and synced.",
    "written-before": "The file was there already, byte for byte.",
    "write-failed": "The file could not be written: see the folder and its server.",
    "write-unconfirmed": "The file was written, and whether under its name is not known.",
    "name-taken": "Another file has this name: move it away, or have names differ.",
    "folder-missing": "The folder is not there: is its disk mounted?",
    "no-right-to-write": "This user may not write there.",
    "disk-read-only": "The disk there is mounted read-only: the machine's log says why, if nobody meant it.",
    "disk-full": "There is no space there.",
    "no-hard-links": "The file system has no hard links, without which a file cannot appear at once.",
    "not-collected": "The API's file has no `collect` any more, and a file was closed before: put it back "
    "until that is written.",
    "not-gathered": "Its file was not collected as its journal row says: report it.",
    # Streams.
    "kept-there": "The stream has it.",
    "known-there": "The stream has it already, under its id.",
    "stream-is-another": "The stream that answers is not the one that is named.",
    "stream-not-there": "No stream takes this subject now: it is away, or has no leader.",
    "stream-not-writable": "The stream refuses: it is full, sealed, or takes no more.",
    "stream-unavailable": "The stream does not say what it is: it is asked again.",
    "stream-not-sync-always": "The server syncs now and then: what it acknowledges can be gone after a power "
    "cut. Set `sync_interval: always`.",
    "too-few-replicas": "The topic has fewer replicas in sync than are asked for.",
    "topic-missing": "The topic is not there: make it.",
    "topic-refuses": "The topic refuses what it is sent: see its settings.",
    "broker-too-old": "The broker cannot do what is asked of it: it is of an older version.",
    "sequence-lost": "The broker has lost the order of this producer: it goes again under a new one.",
}
"""By reason, in sentences. Answers of APIs have theirs by their status."""


def advice(reason: str) -> str:
    """What a reason means and what to do about it; where it has no sentence of its own, where to look."""
    return REASONS.get(reason, "See the node's log.")
