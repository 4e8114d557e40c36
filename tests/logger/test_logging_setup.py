"""Lines in the terminal and in the file, as a real process writes them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import logging, sys
from tqdm import tqdm
from src.logger.logging_setup import setup_logging

logging.basicConfig(stream=sys.stderr)          # as Hydra does before us
setup_logging(sys.argv[1])
setup_logging(sys.argv[1])
logger = logging.getLogger("src.trainer")
bar = tqdm(total=4, desc="train", mininterval=0)
for step in range(4):
    logger.info("step %d done", step)
    bar.update()
bar.close()
logger.debug("too fine")
logger.warning("two utterances dropped")
logging.getLogger("urllib3").warning("noise")
"""


def screen(written: str) -> list[str]:
    """What a terminal shows: a carriage return goes back and later text overwrites."""
    lines = []
    for line in written.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.replace("\x1b[A", "").rstrip())
    return lines


def test_terminal_and_file(tmp_path: Path) -> None:
    log_file = tmp_path / "log.txt"
    log_file.write_text("a line of the life before this resume\n")
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log_file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == ""
    shown = screen(process.stderr)
    for step in range(4):
        assert shown.count(f"step {step} done") == 1  # once, whole, with no bar in its line
    assert shown.count("WARNING: two utterances dropped") == 1
    assert any(line.startswith("train: 100%") for line in shown)
    assert "too fine" not in process.stderr
    assert "noise" not in process.stderr

    before, *lines = log_file.read_text().splitlines()
    assert before == "a line of the life before this resume"
    assert len(lines) == 5
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert re.fullmatch(stamp + r"INFO    src\.trainer: step 0 done", lines[0])
    assert re.fullmatch(stamp + r"WARNING src\.trainer: two utterances dropped", lines[4])
