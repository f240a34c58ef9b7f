"""Names that nothing has: said where an empty answer would look as if all were well."""

from __future__ import annotations

from collections.abc import Iterable

import click

from bridge.cli.reading import ask_if_running, read
from bridge.located import did_you_mean


def refuse_unknown(journal_url: str | None, *, channel: str | None = None, api: str | None = None) -> None:
    """Raise UsageError for a channel or an API that neither the journal nor the node running on it knows."""
    from bridge.journal.names import api_names, channel_names

    for option, name, names in (("channel", channel, channel_names), ("api", api, api_names)):
        if name is None or name in (known := read(journal_url, names)):
            continue
        node = ask_if_running(journal_url, "status")
        known |= set() if node is None else set(node[f"{option}s"])
        if name not in known:
            hint = did_you_mean(name, known)
            unheard = f"nothing is known of {'an API' if option == 'api' else 'a channel'} {name!r}"
            raise click.UsageError("; ".join(filter(None, (unheard, hint))))


def a_state(word: str | None, states: Iterable[str]) -> str | None:
    """A state as it is written in a journal. Raises BadParameter where there is none of this name."""
    if word is None:
        return None
    state, known = word.upper(), sorted(map(str, states))
    if state in known:
        return state
    hint = did_you_mean(state, known) or "one of: " + ", ".join(known)
    raise click.BadParameter(f"no state {state!r}; {hint}", param_hint="--state")
