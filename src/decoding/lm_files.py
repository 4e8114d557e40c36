"""Finds a language model's ARPA file by name or path; fetches the official LibriSpeech ones.

    path = find_lm("3-gram.pruned.1e-7", Path("data"))  # data/lm/3-gram.pruned.1e-7.arpa

OpenSLR 11 (Panayotov et al. 2015) publishes them gzipped and in capitals and without checksums.
They are kept unpacked in lower case, as transcripts are, beside a SHA-256 of what was written.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import zlib
from itertools import islice
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from src.decoding.arpa import open_arpa
from src.utils.atomic_file import write_text_atomically
from src.utils.download import DownloadError, download
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

BASE_URL = "https://www.openslr.org/resources/11"
OFFICIAL_LMS = ("3-gram.pruned.3e-7", "3-gram.pruned.1e-7", "3-gram", "4-gram")
CHUNK = 1 << 20


def find_lm(lm: str | Path, data_dir: str | Path = "data", base_url: str = BASE_URL) -> Path:
    """ARPA file of `lm`, a path or one of `OFFICIAL_LMS`.

    An official model is looked for in `data_dir/lm`, as `NAME.arpa` or as the published
    `NAME.arpa.gz`, and is downloaded if it is not there. Processes that want the same one wait
    for the first.

    Raises:
        UserError: neither a file nor a name, words in capitals, no network, a damaged file, no
            place on the disk.
    """
    if str(lm) not in OFFICIAL_LMS:
        path = Path(lm).expanduser()
        if not path.is_file():
            raise UserError(
                f"lm={lm} is neither a file nor an official LibriSpeech model "
                f"({', '.join(OFFICIAL_LMS)}): correct it, or train one with scripts/train_lm.py."
            )
        _refuse_capitals(path)
        return path
    arpa = Path(data_dir).expanduser() / "lm" / f"{lm}.arpa"
    if not arpa.exists():
        try:
            arpa.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(arpa.with_name(f".{lm}.lock")):
                if not arpa.exists():
                    _fetch(arpa, base_url)
        except OSError as error:
            raise UserError(
                f"{arpa} cannot be written ({error.strerror}): set data_dir to a folder with room."
            ) from None
    elif _has_changed(arpa):
        check_lm(arpa)
    return arpa


def check_lm(arpa: Path) -> None:
    """Compares a fetched model with its SHA-256; a file without one is the user's own.

    Raises:
        UserError: it is not what was written.
    """
    record = _record(arpa)
    if not record.exists():
        return
    digest = hashlib.sha256()
    with arpa.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() not in record.read_text():
        raise UserError(
            f"{arpa} is not what {record.name} says: remove both to get the model afresh."
        )
    with contextlib.suppress(OSError):  # a read-only folder
        record.touch()


def _fetch(arpa: Path, base_url: str) -> None:
    archive = arpa.with_name(f"{arpa.name}.gz")
    had_archive = archive.exists()
    try:
        download(f"{base_url}/{archive.name}", archive)
    except DownloadError as error:
        raise UserError(
            f"{error} Put {archive.name} into {arpa.parent}, or train a model with "
            "scripts/train_lm.py and name its file with lm=PATH."
        ) from None
    try:
        _unpack_in_lower_case(archive, arpa)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        remedy = "remove it" if had_archive else "it was removed, run again"
        raise UserError(
            f"{archive} is damaged ({error}): {remedy} to download it afresh."
        ) from None
    finally:
        if not had_archive:
            archive.unlink()
    logger.info("the language model is ready in %s", arpa)


def _unpack_in_lower_case(archive: Path, arpa: Path) -> None:
    """Writes `arpa`, which appears only once it is complete, and its SHA-256.

    Raises:
        EOFError, gzip.BadGzipFile, zlib.error: the archive is damaged or holds no whole ARPA.
    """
    digest = hashlib.sha256()
    written = arpa.with_name(f".{arpa.name}.unpacking")
    end = b""
    try:
        with (
            gzip.open(archive) as packed,
            written.open("wb") as file,
            tqdm(desc=f"unpacking {archive.name}", unit="B", unit_scale=True, disable=None) as bar,
        ):
            while chunk := packed.read(CHUNK).lower():
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
                end = (end + chunk)[-100:]
        if not end.rstrip().endswith(b"\n\\end\\"):
            raise EOFError("it lacks \\end\\")
        write_text_atomically(_record(arpa), f"{digest.hexdigest()}  {arpa.name}\n")
        written.replace(arpa)
    finally:
        written.unlink(missing_ok=True)


def _refuse_capitals(path: Path) -> None:
    """Refuses the official files as published: all that is recognised would be unknown to them."""
    with open_arpa(path) as file, contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile):
        lines = [line.split() for line in islice(file, 1000)]
        words = b"".join(row[1] for row in lines if len(row) > 1 and not row[1].startswith(b"<"))
        if words.isupper():
            raise UserError(
                f"{path} has its words in capitals, transcripts have them in lower case: name an "
                f"official model without its path ({OFFICIAL_LMS[1]}), or write another's words "
                "in lower case."
            )


def _has_changed(arpa: Path) -> bool:
    """Whether it is younger than its SHA-256: reading gigabytes each time would take seconds."""
    record = _record(arpa)
    return record.exists() and arpa.stat().st_mtime_ns > record.stat().st_mtime_ns


def _record(arpa: Path) -> Path:
    return arpa.with_name(f"{arpa.name}.sha256")
