"""PGP (RFC 9580), by GnuPG, which must be on the machine: the extra `pgp`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from bridge.component import Options
from bridge.decoders.base import READ_BYTES, Budget, Entry, Undecodable, in_a_file
from bridge.units import SecretRef, size_text


class PgpOptions(Options):
    """A file that is encrypted for the bridge's key in a folder of GnuPG's."""

    home: Path = Field(description="GnuPG's folder with the private key; only its owner may read it.")
    passphrase: SecretRef | None = Field(None, description="The passphrase of the key, as a reference.")
    signed: bool = Field(
        False, description="Whether a file must be signed too, by a key that the folder holds and trusts."
    )

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:  # noqa: ARG002
        """What was encrypted. Needs `opened` first."""
        raise AssertionError("a decoder with a secret is opened before it is used")

    def opened(self, secrets: Callable[[SecretRef], str]) -> Pgp:
        """With its passphrase. Raises SecretUnavailable."""
        return Pgp(self, None if self.passphrase is None else secrets(self.passphrase))


class Pgp:
    """A `Decoder` that knows its passphrase."""

    def __init__(self, options: PgpOptions, passphrase: str | None) -> None:
        self._options, self._passphrase = options, passphrase

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:
        """What was encrypted."""
        gpg = self._gpg()
        limit = max(1, budget.total_max_bytes - budget.made_bytes)
        clear, size = budget.file(), 0

        def keep(data: bytes) -> bool:
            nonlocal size
            size += len(data)
            if size <= limit:
                clear.write(data)
            return False  # the library keeps nothing of it

        gpg.on_data, gpg.buffer_size = keep, READ_BYTES
        result = gpg.decrypt_file(in_a_file(source, budget), passphrase=self._passphrase)
        if size > limit:
            raise Undecodable("decoded-too-large", f"It decodes to more than {size_text(limit)}.")
        if result.on_data_failure is not None:
            raise result.on_data_failure
        if not result.ok:
            if result.status == "no data was provided":
                text = "It is not encrypted with PGP: GnuPG finds nothing of its own in it."
                raise Undecodable("decryption", text)
            raise Undecodable("decryption", f"GnuPG could not decrypt it: {_words(result.status)}.")
        if self._options.signed and not (result.valid and result.trust_level in _trusted(result)):
            raise Undecodable("signature", "It is not signed by a key that is trusted.")
        clear.seek(0)
        yield Entry(source.name, _Clear(clear, budget))

    def _gpg(self) -> Any:
        try:
            import gnupg

            return gnupg.GPG(gnupghome=str(self._options.home))
        except (ImportError, OSError, ValueError):
            text = "GnuPG or its folder is missing: install gnupg and the extra `pgp`, and see `home`."
            raise Undecodable("pgp-missing", text) from None


def _trusted(result: Any) -> tuple[int, int]:
    """GnuPG says less of a key whose owner nobody has vouched for, or who must not be believed."""
    return result.TRUST_FULLY, result.TRUST_ULTIMATE


class _Clear:
    def __init__(self, file: Any, budget: Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        self._budget.spend(len(data))
        return data


def _words(status: object) -> str:
    known = str(status or "")
    return known if known.replace(" ", "").isalpha() else "it says no more"
