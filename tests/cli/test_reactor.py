"""What runs until it is told to stop ends at the second signal, whatever its threads do."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from code_reading import ROOT

HANGING_S = 600
RUNS = f"""
import time
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from bridge.cli import reactor

async def until_told(the_reactor, told_to_stop):
    deferToThread(time.sleep, {HANGING_S})
    print("ready", flush=True)
    await told_to_stop
    print("told", flush=True)
    if GOES_ON:
        await Deferred()

reactor.run(until_told)
"""


@pytest.mark.parametrize("goes_on", [False, True], ids=["its work has ended", "its work goes on"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_process_whose_thread_hangs(number: signal.Signals, goes_on: bool) -> None:
    words = [sys.executable, "-c", f"GOES_ON = {goes_on}\n{RUNS}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.stdout.readline() == "told\n"
            process.send_signal(number)
            assert process.wait(HANGING_S / 10) != 0
        finally:
            process.kill()
