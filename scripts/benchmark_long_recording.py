"""What `inference.py` needs for a recording of hours: memory, seconds, real-time factor.

python scripts/benchmark_long_recording.py saved/RUN --hours 3 --json OUT
python scripts/benchmark_long_recording.py saved/RUN --hours 0.1 --rate 8000 --channels 1

The recording is made up (tones and noise), written to a temporary folder, and transcribed by a
process of its own, whose peak resident memory the system tells.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]


def write_recording(path: Path, hours: float, rate: int, channels: int) -> None:
    """A minute at a time: a tone that comes and goes, another each minute, and noise."""
    rng = np.random.default_rng(0)
    time = np.arange(60 * rate) / rate
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for minute in range(max(1, round(60 * hours))):
            tone = np.sin(2 * np.pi * (200 + minute) * time) * (np.sin(np.pi * time) > 0)
            samples = 0.2 * tone + 0.01 * rng.standard_normal(len(time))
            file.write(np.repeat(samples[:, None], channels, axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder or a checkpoint")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--rate", type=int, default=48000, help="of the file, in Hz")
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", metavar="OUT", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        write_recording(path, arguments.hours, arguments.rate, arguments.channels)
        size = path.stat().st_size
        command = [
            *(sys.executable, "inference.py", f"datasets.test.audio_dir={path}"),
            *(f"inferencer.from_pretrained={Path(arguments.run).resolve()}",),
            *(f"inferencer.save_dir={folder}/out", f"device={arguments.device}"),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        summary = json.loads((Path(folder) / "out/summary.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10  # KiB on Linux
    figures = {
        **{name: getattr(arguments, name) for name in ("hours", "rate", "channels", "device")},
        "file_mib": size / 2**20,
        "peak_mib": peak,
        **{name: summary["test"]["recordings"][name] for name in ("seconds", "real_time_factor")},
    }
    print(
        "{hours:g} h at {rate} Hz, {channels} channels ({file_mib:.0f} MiB): peak {peak_mib:.0f} "
        "MiB, {seconds:.0f} s, real-time factor {real_time_factor:.4f}".format(**figures)
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
