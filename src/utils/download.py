"""Big files over a bad line: resumed, checked, and unpacked so that nothing escapes the folder."""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from src.utils.errors import UserError

logger = logging.getLogger(__name__)

CHUNK = 1 << 20
# What the disk, not the network, answers.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class DownloadError(UserError):
    """The server cannot be reached, has no such file, or hangs up again and again."""


def download(
    url: str, path: Path, md5: str | None = None, attempts: int = 5, wait: float = 1.0
) -> None:
    """Fetches `url` to `path`, continuing `<path>.part` where an earlier call broke off.

    Args:
        md5: published checksum, in hex. A file already at `path` is checked too. Without one,
            only the size that the server tells is checked.
        attempts: tries in a row that bring no byte before it gives up.
        wait: seconds before the second try, doubled for each further one.

    Raises:
        DownloadError: no connection, or no such file on the server.
        UserError: the checksum differs, or the disk is full or read-only.
    """
    if not path.exists():
        part = path.with_name(path.name + ".part")
        logger.info("downloading %s to %s", url, path)
        _fetch_with_retries(url, part, attempts, wait)
        if md5 and (found := _md5(part)) != md5:
            part.unlink()
            raise UserError(
                f"{url} arrived damaged (MD5 {found}, published {md5}) and was removed: "
                "run again to download it afresh."
            )
        part.replace(path)
    elif md5 and (found := _md5(path)) != md5:
        raise UserError(
            f"{path} is damaged (MD5 {found}, published {md5}): remove it to download it again."
        )


def extract_tar(archive: Path, folder: Path) -> None:
    """Unpacks files and folders of a tar archive below `folder`.

    Raises:
        UserError: a member is a link or a device or points outside `folder`, or the archive
            cannot be read, or the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError("Unpacking archives safely needs Python 3.10.12, 3.11.4 or later.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, f"unpacking {archive.name}", unit=" files", disable=None):
                name = PurePosixPath(member.name)
                plain = member.isfile() or member.isdir()
                if not plain or name.is_absolute() or ".." in name.parts:
                    raise UserError(f"{archive} has an unsafe member, {member.name}: not unpacked.")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive} cannot be unpacked into {folder}: {error}.") from None


def _fetch_with_retries(url: str, part: Path, attempts: int, wait: float) -> None:
    failures = 0
    while True:
        had = _size(part)
        try:
            return _fetch(url, part)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != http.client.TOO_MANY_REQUESTS:
                raise DownloadError(
                    f"{url} cannot be downloaded ({error.code} {error.reason})."
                ) from None
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise UserError(f"{part} cannot be written: {error.strerror}.") from None
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 1 if _size(part) > had else failures + 1
        if failures >= attempts:
            raise DownloadError(f"{url} cannot be downloaded ({reason}).")
        logger.warning("download broke off (%s), trying again", reason)
        time.sleep(wait * 2 ** (failures - 1))


def _fetch(url: str, part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Nothing lies beyond what is here: it is whole, or else the checksum will say.
        return
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if start else "wb") as file,
            tqdm(
                desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise ConnectionError(f"{_size(part)} of {total} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
