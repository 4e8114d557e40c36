"""Signals to real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start():
    """start(code) -> a process, in a session of its own, that has printed its first line."""
    processes = []

    def start_process(code: str, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        processes.append(process)
        process.stdout.readline()
        return process

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


LOOP = """
    import time
    from src.utils.interruption import Interruption, Interrupted
    with Interruption() as interruption:
        print("ready", flush=True)
        while interruption.signal is None:
            time.sleep(0.01)
        print("remembered", flush=True)
        time.sleep(30)
"""


def test_the_first_ctrl_c_is_remembered_and_the_second_kills_at_once(start):
    process = start(LOOP)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "remembered\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == -signal.SIGINT
    assert "Ctrl-C again stops at once" in process.stderr.read()


@pytest.mark.parametrize(
    ("number", "environment"),
    [(signal.SIGTERM, {}), (signal.SIGINT, {"TORCHELASTIC_RUN_ID": "none"})],
)
def test_what_a_launcher_may_send_twice_kills_no_sooner(start, number, environment):
    process = start(LOOP, **environment)
    process.send_signal(number)
    assert process.stdout.readline() == "remembered\n"
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)


def test_outside_of_it_signals_do_what_they_did(start):
    process = start(
        """
        import time
        from src.utils.interruption import Interruption
        with Interruption():
            pass
        print("ready", flush=True)
        time.sleep(30)
        """
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM


def test_a_worker_outlives_the_signals_of_its_group_but_not_its_parents_wish(start):
    process = start(
        """
        import os, signal, time, multiprocessing
        from src.utils.interruption import leave_signals_to_the_main_process

        def work(queue):
            leave_signals_to_the_main_process(0)
            queue.put("ready")
            time.sleep(30)

        queue = multiprocessing.get_context("fork").Queue()
        worker = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
        worker.start()
        queue.get()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        print("ready", flush=True)
        time.sleep(1.0)
        print(worker.exitcode, flush=True)
        worker.terminate()
        worker.join(5)
        print(worker.exitcode, flush=True)
        """
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(process.pid, number)
    assert process.stdout.readline() == "None\n", "it worked on"
    assert process.stdout.readline() == "0\n", "it left when it was told to"
