"""How soon the page shows what was said: a recording is spoken to a server in real time.

python scripts/benchmark_streaming.py saved/RUN AUDIO... --json OUT
python scripts/benchmark_streaming.py saved/RUN AUDIO... --cores 1 --streams 4 --lm LM.arpa

A server of its own (`app.py`) is fed chunks of each recording, one after the other, at the speed at
which they were spoken. Of each chunk two times are measured:

chunk to text   from its sending to the first partial text that has heard it; it includes the wait
                until a step's worth of new sound is there
step            from the sending of the last chunk that a partial text has heard to that text

and of each recording how long the final text took after its end. What does not depend on what else
the machine does is the server's time on its cores for a second of speech.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import connect

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from src.utils.audio import read_audio  # noqa: E402

RATE = 16000


@contextlib.contextmanager
def serving(run: Path, overrides: list[str], cores: int | None) -> Iterator[tuple[str, int]]:
    """The address of a server that may use as many cores, and its process."""
    allowed = sorted(os.sched_getaffinity(0))[-cores:] if cores else None
    process = subprocess.Popen(
        [sys.executable, "app.py", f"from_pretrained={run.resolve()}", "port=0", *overrides],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, allowed)) if allowed else None,
    )
    try:
        address = re.search(r"http://(\S+)", process.stdout.readline())
        if not address:
            sys.exit("error: the server did not start")
        yield address[1], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def spoken(address: str, path: Path, chunk_seconds: float, decoder: str) -> dict[str, Any]:
    """Times in seconds of a recording's chunks, its steps and its final text."""
    samples = read_audio(path, RATE).clamp(-1, 1).numpy()
    pcm = np.round(samples * 32767).astype("<i2")
    size = int(chunk_seconds * RATE)
    sent: list[tuple[float, float]] = []  # seconds of sound so far, when
    texts: list[tuple[float, float]] = []  # seconds heard, when
    final: list[float] = []
    with connect(f"ws://{address}/api/stream", proxy=None, max_size=None) as socket:

        def read() -> None:
            for message in socket:
                content = json.loads(message)
                if content["type"] == "error":
                    raise RuntimeError(content["error"])
                if content["type"] == "final":
                    final.append(time.perf_counter())
                else:
                    texts.append((content["heard"], time.perf_counter()))

        reader = threading.Thread(target=read)
        socket.send(json.dumps({"sample_rate": RATE, "decoder": decoder}))
        reader.start()
        started = time.perf_counter()
        for start in range(0, len(pcm), size):
            chunk = pcm[start : start + size]
            end = (start + len(chunk)) / RATE
            time.sleep(max(0.0, started + end - time.perf_counter()))  # once it was spoken
            socket.send(chunk.tobytes())
            sent.append((end, time.perf_counter()))
        ended = time.perf_counter()
        socket.send(json.dumps({"end": True}))
        reader.join()
    chunks = []
    for end, at in sent:
        later = [when for heard, when in texts if heard >= end - 1e-3]
        if later:  # the last chunks, less than a step, are in the final text only
            chunks.append(later[0] - at)
    steps = [when - max(at for end, at in sent if end <= heard + 1e-3) for heard, when in texts]
    return {"chunks": chunks, "steps": steps, "final": final[0] - ended, "seconds": sent[-1][0]}


def core_seconds(pid: int) -> float:
    """What a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the largest, in ms."""
    return {
        "p50": 1000 * statistics.median(values),
        "p95": 1000 * float(np.percentile(values, 95)),
        "max": 1000 * max(values),
        "count": len(values),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run folder or a checkpoint")
    parser.add_argument("audio", type=Path, nargs="+", help="recordings, spoken one by one")
    parser.add_argument("--decoder", default="argmax")
    parser.add_argument("--lm", help="an ARPA file, for a decoder with one")
    parser.add_argument("--chunk", type=float, default=0.1, help="seconds in a message")
    parser.add_argument("--step", type=float, default=0.5, help="seconds that make a new text")
    parser.add_argument("--streams", type=int, default=1, help="that speak at the same time")
    parser.add_argument("--cores", type=int, help="of the server; default: all")
    parser.add_argument("--json", metavar="OUT", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    overrides = [
        f"decoders=[{arguments.decoder}]",
        f"lm={arguments.lm or 'null'}",
        f"stream_step_seconds={arguments.step}",
        f"max_streams={arguments.streams}",
    ]

    def speak(stream: int) -> list[dict[str, Any]]:
        time.sleep(stream * arguments.step / arguments.streams)  # nobody speaks in step
        return [
            spoken(address, path, arguments.chunk, arguments.decoder) for path in arguments.audio
        ]

    with (
        serving(arguments.run, overrides, arguments.cores) as (address, pid),
        ThreadPoolExecutor(arguments.streams) as threads,
    ):
        before = core_seconds(pid)
        found = [one for stream in threads.map(speak, range(arguments.streams)) for one in stream]
        used = core_seconds(pid) - before
    seconds = sum(one["seconds"] for one in found)
    figures = {
        **{name: getattr(arguments, name) for name in ("decoder", "chunk", "step", "streams")},
        "cores": arguments.cores,
        "recordings": len(found),
        "seconds": seconds,
        "core_seconds_a_second": used / seconds,
        "machine": platform.processor() or platform.machine(),
        "chunk_to_text": percentiles([value for one in found for value in one["chunks"]]),
        "step_to_text": percentiles([value for one in found for value in one["steps"]]),
        "final": percentiles([one["final"] for one in found]),
    }
    print(
        f"{len(found)} recordings, {seconds:.0f} s, {arguments.streams} at once, "
        f"{arguments.decoder}; {used / seconds:.2f} s of a core for a second; ms:"
    )
    for name in ("chunk_to_text", "step_to_text", "final"):
        print(
            "  {0:14} p50 {p50:.0f}   p95 {p95:.0f}   max {max:.0f}".format(name, **figures[name])
        )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
