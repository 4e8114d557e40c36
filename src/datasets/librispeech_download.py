"""The official LibriSpeech parts: where they are, their checksums, how they get into `root`.

OpenSLR 12 (Panayotov et al. 2015) and its Mini LibriSpeech, OpenSLR 31; MD5 sums from the
`md5sum.txt` of each.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from src.utils.download import DownloadError, download, extract_tar
from src.utils.errors import UserError
from src.utils.files import is_writable

logger = logging.getLogger(__name__)

BASE_URL = "https://www.openslr.org/resources"


class OfficialPart(NamedTuple):
    resource: int  # number of the corpus at openslr.org
    md5: str


OFFICIAL_PARTS = {
    "dev-clean": OfficialPart(12, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": OfficialPart(12, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": OfficialPart(12, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": OfficialPart(12, "fb5a50374b501bb3bac4815ee91d3135"),
    "train-clean-100": OfficialPart(12, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": OfficialPart(12, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": OfficialPart(12, "d1a0fd59409feb2c614ce4d30c387708"),
    "dev-clean-2": OfficialPart(31, "6d7ab67ac6a1d2c993d050e16d61080d"),
    "train-clean-5": OfficialPart(31, "5df7d4e78065366204ca6845bb08f490"),
}


def download_part(part: str, root: Path, base_url: str = BASE_URL) -> None:
    """Brings an official part to `root/part`, which appears only once it is complete.

    An archive that lies in `root` already is used and left there; one downloaded here is
    removed after it is unpacked. Processes that want the same part wait for the first.

    Raises:
        UserError: no network, a damaged or unsafe archive, no place on the disk.
    """
    folder = root / part
    archive = root / f"{part}.tar.gz"
    unpacking = root / f".{part}.unpacking"
    official = OFFICIAL_PARTS[part]
    _require_writable(root)
    with FileLock(root / f".{part}.lock"):
        if folder.is_dir():
            return
        had_archive = archive.exists()
        try:
            download(f"{base_url}/{official.resource}/{part}.tar.gz", archive, official.md5)
        except DownloadError as error:
            raise UserError(
                f"{error} Put the archive or the unpacked part into {root}, or set data_dir to "
                f"the folder that has LibriSpeech/{part}."
            ) from None
        shutil.rmtree(unpacking, ignore_errors=True)  # left by a process that was killed
        extract_tar(archive, unpacking)
        try:
            (unpacking / "LibriSpeech" / part).rename(folder)
        except FileNotFoundError:
            raise UserError(f"{archive} has no folder LibriSpeech/{part}: remove it.") from None
        finally:
            shutil.rmtree(unpacking)
        if not had_archive:
            archive.unlink()
        logger.info("%s is ready in %s", part, folder)


def _require_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        writable = is_writable(root)
    except OSError:
        writable = False
    if not writable:
        raise UserError(f"{root} cannot be written: set data_dir to a folder that can.")
