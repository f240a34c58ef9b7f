"""Secrets, from the environment or from files. What is told of them is their reference, never their value."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bridge.config.files import read_regular
from bridge.config.topology import Topology
from bridge.config.vault import Vault
from bridge.errors import SecretUnavailable
from bridge.located import Place, Problem
from bridge.units import LINE, NO_LINE, SecretRef, is_line, size_text

SECRET_SIZE_MAX_BYTES: Final = 64 * 1024
ASKED_AT_ONCE_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Secrets:
    """Looks secrets up, anew at each call, so that a rotated one is found without a restart.

    ``directory`` holds the files of ``secret://file/NAME``; ``environment`` the values of
    ``secret://env/NAME``, and is not shown when this is printed. ``secret://systemd/NAME`` is a file of the
    folder that systemd gives a service (LoadCredential=, LoadCredentialEncrypted=), which
    ``CREDENTIALS_DIRECTORY`` of the environment names; ``vault`` has those of ``secret://vault/...``.
    """

    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    vault: Vault | None = field(default=None, compare=False)

    def resolve(self, reference: SecretRef) -> str:
        """The secret. One line break at the end of a file is not part of it.

        Raises SecretUnavailable, which names the reference and the reason: not there, empty, readable by
        others than its owner, a link out of the folder, larger than `SECRET_SIZE_MAX_BYTES`, not UTF-8.
        """
        if reference.source == "env":
            found = self.environment.get(reference.name, "")
            if not found:
                raise SecretUnavailable(f"{reference}: the environment variable is not set, or is empty")
            return found
        if reference.source == "systemd":
            given = self.environment.get("CREDENTIALS_DIRECTORY", "")
            if not given:
                raise SecretUnavailable(
                    f"{reference}: systemd has given this process no credentials; name it in the unit, "
                    f"LoadCredential={reference.name}:/path"
                )
            return _of_file(reference, Path(given))
        if reference.source == "vault":
            if self.vault is None:
                raise SecretUnavailable(f"{reference}: there is no Vault here")
            return self.vault.read(reference)
        return _of_file(reference, self.directory)


def _of_file(reference: SecretRef, directory: Path) -> str:
    path = directory / reference.name
    try:
        root = Path(os.path.realpath(directory))
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise SecretUnavailable(f"{reference}: the file is a link out of {directory}")
        found = read_regular(path, SECRET_SIZE_MAX_BYTES + 1)
    except OSError as refused:
        text = f"{reference}: {path} cannot be read: {refused.strerror or 'unknown cause'}"
        raise SecretUnavailable(text) from None
    except ValueError:
        raise SecretUnavailable(f"{reference}: this cannot be the name of a file") from None
    if found is None:
        raise SecretUnavailable(f"{reference}: {path} is no file")
    data, mode = found
    if mode & 0o037:
        raise SecretUnavailable(f"{reference}: others can reach {path}; take that away: chmod 640 or 600")
    return _text(reference, data)


def lines_of(topology: Topology) -> frozenset[SecretRef]:
    """The references whose secrets go into headers and logins, or come in them, as `LINE` marks them."""
    apis = topology.apis.values()
    chosen = [each for api in apis for each in (api.destination, api.credential, *api.policies) if each]
    chosen += [channel.source for channel in topology.channels.values()]
    return frozenset(found for each in chosen for found in lines_in(each.options))


def lines_in(options: BaseModel) -> Iterator[SecretRef]:
    """The same of one component's options."""
    for name, about in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, BaseModel):
            yield from lines_in(value)
        elif LINE in about.metadata:
            found = value.values() if isinstance(value, Mapping) else (value,)
            yield from (each for each in found if isinstance(each, SecretRef))


def unavailable(
    references: Iterable[tuple[SecretRef, Place]], secrets: Secrets, lines: Container[SecretRef] = ()
) -> list[Problem]:
    """A problem for each of these references, named at these places, that cannot be resolved now; or, where
    it is among ``lines``, that no header can hold.

    A Vault is asked for what it has now, so that what is looked up next is that; for several at a time, since
    one that hangs makes each wait.
    """

    def why(reference: SecretRef) -> str:
        try:
            secret = secrets.resolve(replace(reference, anew=True))
        except SecretUnavailable as refused:
            return str(refused)
        return f"{reference}: {NO_LINE}" if reference in lines and not is_line(secret) else ""

    named = list(references)
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as threads:
        found = threads.map(why, [reference for reference, _ in named])
        return [Problem(place, "C161", text) for (_, place), text in zip(named, found, strict=True) if text]


def _text(reference: SecretRef, data: bytes) -> str:
    if len(data) > SECRET_SIZE_MAX_BYTES:
        raise SecretUnavailable(f"{reference}: the file is larger than {size_text(SECRET_SIZE_MAX_BYTES)}")
    try:
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # `from None`: the original error carries the bytes.
        raise SecretUnavailable(f"{reference}: the file is not UTF-8") from None
    if not text:
        raise SecretUnavailable(f"{reference}: the file is empty")
    return text
