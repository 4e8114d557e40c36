"""Metrics as plain files in the run folder: always on, no account, no library to read them.

RUN_DIR/metrics.csv      one row per step and mode, a column per metric
RUN_DIR/metrics.jsonl    the same rows, one JSON object a line, only the metrics of that row
RUN_DIR/tables/<mode>_<name>_<step>.csv
RUN_DIR/images/<mode>_<name>.png, RUN_DIR/audio/<mode>_<name>.wav    the latest of each name

    pandas.read_csv("metrics.csv").query("mode == 'train'").plot(x="step", y="loss")
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.image import imsave
from torch import Tensor

from src.logger.base_writer import BaseWriter
from src.logger.file_names import file_name
from src.utils.atomic_file import write_text_atomically
from src.utils.errors import UserError

_FIRST_COLUMNS = ["step", "mode", "time"]


class CSVWriter(BaseWriter):
    """Writes what is logged into `run_dir`; a folder with rows of an earlier life is continued.

    Scalars gather into a row until the step or mode changes, or `flush()`. A row then goes out
    in one write call to a file opened for appending, so a kill leaves whole rows. `metrics.jsonl`
    is the record; the CSV is rewritten from it (atomically) when a metric appears for the first
    time, and at the start, which heals a kill between the two files.
    NaN and infinities are written as Python's `json` does (`NaN`, `Infinity`).

    Args:
        run_dir: the run folder; made if missing.

    Raises:
        UserError: `metrics.jsonl` is there and is not JSON lines.
    """

    def __init__(self, run_dir: Path | str) -> None:
        self.run_dir = Path(run_dir)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._csv = self.run_dir / "metrics.csv"
        self._jsonl = self.run_dir / "metrics.jsonl"
        self._step, self._mode = 0, "train"
        self._scalars: dict[str, float] = {}
        self._columns = list(_FIRST_COLUMNS)
        self._replace_rows(self._read_rows())

    def set_step(self, step: int, mode: str = "train") -> None:
        if (step, mode) != (self._step, self._mode):
            self.flush()
            self._step, self._mode = step, mode

    def add_scalar(self, name: str, value: float) -> None:
        self._scalars[name] = float(value)

    def add_scalars(self, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self.add_scalar(name, value)

    def add_image(self, name: str, image: np.ndarray) -> None:
        imsave(self._path("images", f"{file_name(self._mode, name)}.png"), image)

    def add_audio(self, name: str, audio: Tensor, sample_rate: int) -> None:
        path = self._path("audio", f"{file_name(self._mode, name)}.wav")
        soundfile.write(path, audio.detach().float().cpu().numpy(), sample_rate, subtype="PCM_16")

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        path = self._path("tables", f"{file_name(self._mode, name, self._step)}.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])

    def truncate_after(self, step: int, again: Collection[str] = ()) -> None:
        def stays(row: dict[str, Any]) -> bool:
            return row["step"] < step or (row["step"] == step and row["mode"] not in again)

        self._scalars.clear()
        self._replace_rows([row for row in self._read_rows() if stays(row)])

    def flush(self) -> None:
        if not self._scalars:
            return
        time = datetime.now().astimezone().isoformat(timespec="seconds")
        row = {"step": self._step, "mode": self._mode, "time": time, **self._scalars}
        self._scalars.clear()
        _append(self._jsonl, json.dumps(row) + "\n")
        if row.keys() <= set(self._columns):
            _append(self._csv, _csv_text([row], self._columns))
        else:
            self._write_csv(self._read_rows())

    def close(self) -> None:
        self.flush()

    def _path(self, folder: str, name: str) -> Path:
        (self.run_dir / folder).mkdir(exist_ok=True)
        return self.run_dir / folder / name

    def _read_rows(self) -> list[dict[str, Any]]:
        if not self._jsonl.exists():
            return []
        lines = self._jsonl.read_text(encoding="utf-8").splitlines(keepends=True)
        # Half a line at the end: a machine that lost power, or a disk that was full.
        whole = [line for line in lines if line.endswith("\n")]
        try:
            return [json.loads(line) for line in whole]
        except ValueError as error:
            raise UserError(
                f"{self._jsonl} has a line that is not JSON; mend it, or move the file away to "
                "start an empty one."
            ) from error

    def _replace_rows(self, rows: list[dict[str, Any]]) -> None:
        write_text_atomically(self._jsonl, "".join(json.dumps(row) + "\n" for row in rows))
        self._write_csv(rows)

    def _write_csv(self, rows: list[dict[str, Any]]) -> None:
        names = dict.fromkeys(name for row in rows for name in row)
        self._columns = _FIRST_COLUMNS + [name for name in names if name not in _FIRST_COLUMNS]
        header = [dict(zip(self._columns, self._columns))]
        write_text_atomically(self._csv, _csv_text([*header, *rows], self._columns))


def _csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _append(path: Path, line: str) -> None:
    """Append in one write call, with no buffer in between that a kill would lose or cut."""
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())
        os.fsync(file.fileno())  # a checkpoint outlasts a power cut, so what led to it should too
