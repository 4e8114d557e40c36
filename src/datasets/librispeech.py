"""LibriSpeech, or any corpus in its layout.

LibriSpeechDataset("train-clean-100", root="data/LibriSpeech")
LibriSpeechDataset("train-clean-100+train-clean-360", root="data/LibriSpeech")
LibriSpeechDataset("train-960", root="data/LibriSpeech", max_duration=16.7)
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from src.datasets.base_dataset import BaseDataset, Row
from src.datasets.librispeech_download import BASE_URL, OFFICIAL_PARTS, download_part
from src.datasets.librispeech_index import librispeech_index, part_fingerprint
from src.datasets.packed import choose_pack
from src.text_encoder.normalize import normalize_text
from src.utils.errors import UserError

TRAIN_960 = ("train-clean-100", "train-clean-360", "train-other-500")


class LibriSpeechDataset(BaseDataset):
    """One or several parts, each a folder `root/part/speaker/chapter` of recordings in any
    format of `AUDIO_EXTENSIONS` and `*.trans.txt`.

    A part that is there is used offline, whatever its name; an official one that is missing is
    downloaded from OpenSLR.

    A part that was packed (`scripts/pack_dataset.py`) is read from its pack, which may also stand
    alone, without the part.

    Args:
        part: a name, names joined with `+`, a list of names, or `train-960` for all three
            training parts.
        root: folder of the parts, such as `data/LibriSpeech`.
        download: whether a missing official part may be fetched.
        cache_dir: where the index is kept; by default beside the part, or in `~/.cache/asr`
            where that is read-only.
        index_workers: threads that read audio headers.
        base_url: of the server that has `12/<part>.tar.gz`, such as a mirror.
        packed: "auto", true, false or the folder that holds the packs; see
            `src.datasets.packed.choose_pack`.
        options: as for `BaseDataset`.

    Raises:
        UserError: a part that is missing and cannot be had, no network, a damaged archive or
            folder, an utterance that is in two parts, a pack that is demanded and unfit.
    """

    def __init__(
        self,
        part: str | list[str],
        root: str,
        download: bool = True,
        cache_dir: str | None = None,
        index_workers: int | None = None,
        base_url: str = BASE_URL,
        packed: bool | str = "auto",
        sample_rate: int = 16000,
        **options: Any,
    ) -> None:
        parts = _part_names(part)
        index: dict[str, Row] = {}
        for name in parts:
            folder = Path(root) / name
            pack = choose_pack(folder, packed, sample_rate, partial(part_fingerprint, folder))
            if pack is None:
                folder = _part_folder(name, Path(root), download, base_url)
                rows = librispeech_index(folder, cache_dir, index_workers)
            else:
                rows = pack.rows
            for row in rows:
                if row["utterance_id"] in index:
                    raise UserError(
                        f"utterance {row['utterance_id']} of {name} occurs twice in "
                        f"part={'+'.join(parts)}: name parts that do not overlap."
                    )
                path, text = str(folder / row["path"]), normalize_text(row["text"])
                index[row["utterance_id"]] = {**row, "path": path, "text": text}
        super().__init__(
            list(index.values()),
            sample_rate=sample_rate,
            name=f"LibriSpeech {'+'.join(parts)}",
            **options,
        )


def _part_names(part: str | Iterable[str]) -> list[str]:
    names = part.split("+") if isinstance(part, str) else list(part)
    return [name for alias in names for name in (TRAIN_960 if alias == "train-960" else (alias,))]


def _part_folder(part: str, root: Path, download: bool, base_url: str) -> Path:
    folder = root / part
    if part and folder.is_dir():
        return folder
    if part not in OFFICIAL_PARTS:
        found = _folders(root)
        raise UserError(
            f"{folder} does not exist and {part!r} is no official LibriSpeech part; {root} has: "
            f"{', '.join(found) or 'nothing'}. Name one of these, or set data_dir."
        )
    if not download:
        raise UserError(
            f"{folder} does not exist: allow download=true, or set data_dir to the folder that "
            f"has LibriSpeech/{part}."
        )
    download_part(part, root, base_url)
    return folder


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
