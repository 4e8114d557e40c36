"""A noisy copy of a corpus, to measure how robust a recogniser is.

    python scripts/add_noise.py data/LibriSpeech/test-clean data/LibriSpeech/test-clean-10dB \\
        --noise-dir data/noise --snr 10
    python inference.py inferencer.from_pretrained=saved/RUN datasets=librispeech_test \\
        datasets.test_clean.part=test-clean-10dB datasets.test_other=null

Each recording of IN_DIR, whatever its format and folder, gets one noise clip, from anywhere in it
and repeated where it is short, and is written to OUT_DIR as 16-bit FLAC of 16 kHz. Which clip is a
function of --seed and of the recording's path in IN_DIR without extension: the same in every run,
at every SNR, and of a FLAC or an MP3 copy of the corpus. The SNR is that over the whole recording,
pauses included. A mix that would clip is turned down as a whole. Transcripts (*.txt) are copied as
they are; OUT_DIR/noise.csv says what was done to each recording.

Noise of the tests must not be heard in training. --noise-clips and the training's noise_clips are
globs of clips' names (with a / of paths in the folder) that share a folder out. Takes of one source
must stay together: those of ESC-10 (002-rain_1-26222-A.opus) end in source-take, so by the source's
last digit; ESC-50 (1-26222-A-10.wav) has five folds for the purpose.

    python train.py augmentation=[background_noise] noise_dir=ESC "noise_clips='*[0-6]-?.opus'"
    python scripts/add_noise.py IN_DIR OUT_DIR --snr 10 --noise-dir ESC \\
        --noise-clips '*[7-9]-?.opus'
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.transforms import Draws
from src.transforms.waveform.clip_bank import ClipBank
from src.transforms.waveform.noise import add_noise
from src.utils.audio import AUDIO_EXTENSIONS, read_audio
from src.utils.entry_point import entry_point
from src.utils.errors import UserError
from src.utils.files import scan_files

SAMPLE_RATE = 16000
FULL_SCALE = 32768
LOUDEST = (FULL_SCALE - 1) / FULL_SCALE  # that 16 bits hold on both sides
TRIES = 100  # to find noise in clips that are silent in places, as those of ESC-50 are


class Corpus(NamedTuple):
    """What is copied: paths relative to the corpus."""

    recordings: dict[str, str]  # name in the copy -> name
    transcripts: list[str]


class Mix(NamedTuple):
    audio: Tensor  # [S] within LOUDEST
    clip: int
    gain: float  # 1 where the mix was not turned down


@entry_point
def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)  # one recording at a time is too little to share out
    corpus = find_corpus(args.in_dir)
    clips = ClipBank(str(args.noise_dir), SAMPLE_RATE, args.noise_clips)
    samples = turned_down = 0
    with whole_folder(args.out_dir, args.in_dir) as folder:
        for name in corpus.transcripts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(args.in_dir / name, folder / name)
        with (folder / "noise.csv").open("w", newline="", encoding="utf-8") as file:
            report = csv.writer(file)
            report.writerow(["recording", "clip", "snr_db", "gain"])
            for target, name in tqdm(corpus.recordings.items(), "mixing", disable=None):
                audio = read_audio(args.in_dir / name, SAMPLE_RATE)
                draws = Draws.of(args.seed, 0, [PurePosixPath(name).with_suffix("").as_posix()])
                mix = mixed(audio, clips, args.snr, draws)
                write_flac(folder / target, mix.audio)
                clip = clips.paths[mix.clip].relative_to(args.noise_dir.expanduser())
                report.writerow([target, clip.as_posix(), args.snr, f"{mix.gain:.6f}"])
                samples += len(audio)
                turned_down += mix.gain < 1
    hours = samples / SAMPLE_RATE / 3600
    print(
        f"{args.out_dir}: {len(corpus.recordings)} recordings ({hours:.2f} h) at {args.snr:g} dB "
        f"with noise of {len(clips)} clips; {turned_down} turned down, which would have clipped"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("in_dir", metavar="IN_DIR", type=Path, help="folder of recordings, in any folders")
    add("out_dir", metavar="OUT_DIR", type=Path, help="folder to make; may be there, but empty")
    add("--noise-dir", metavar="DIR", type=Path, required=True, help="recordings of noise")
    add("--noise-clips", metavar="GLOB", default="*", help="those to use; default: all")
    add("--snr", metavar="DB", type=float, required=True, help="of speech to noise, -30 to 60")
    add("--seed", type=int, default=0, help="of the choice of clips; default: 0")
    args = parser.parse_args()
    if not -30 <= args.snr <= 60:
        parser.error("--snr must be from -30 to 60 dB: 16 bits hold no more")
    return args


def find_corpus(folder: Path) -> Corpus:
    """Recordings and transcripts in `folder`, at any depth.

    Raises:
        UserError: there is no such folder, no recording in it, or two that differ in their
            extension only.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one of recordings")
    names = list(scan_files(folder))
    recordings: dict[str, str] = {}
    for name in names:
        if name.lower().endswith(AUDIO_EXTENSIONS):
            target = PurePosixPath(name).with_suffix(".flac").as_posix()
            if target in recordings:
                raise UserError(
                    f"{folder} has {recordings[target]} and {name}, of which both would become "
                    f"{target}: remove one"
                )
            recordings[target] = name
    if not recordings:
        raise UserError(f"{folder} has no recording ({', '.join(AUDIO_EXTENSIONS)}) in it")
    return Corpus(recordings, [name for name in names if name.lower().endswith(".txt")])


@contextmanager
def whole_folder(out: Path, source: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` once it is whole, and otherwise goes.

    Raises:
        UserError: `out` has something in it, lies in `source` or cannot be made.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} is there and not an empty folder: remove it or name a new one")
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{out} lies in {source}, which would then hold both: name one elsewhere")
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{partial} is left over or being written: remove it or wait") from None
    except OSError as error:
        raise UserError(f"{out} cannot be made ({error.strerror}): name another") from None
    try:
        yield partial
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def mixed(audio: Tensor, clips: ClipBank, snr: float, draws: Draws) -> Mix:
    """audio [S] with a clip at `snr` dB; digital silence, which has no such ratio, stays as it is.

    Raises:
        UserError: nothing but silence is found in the clips.
    """
    length = torch.tensor([len(audio)])
    for _ in range(TRIES):
        clip = draws.integers(len(clips))
        noise = clips.cut(clip, draws.host_uniform(), audio[None])
        if noise.any():
            break
    else:
        raise UserError(f"{clips.folder} has hardly anything but silence: name another folder")
    mix = add_noise(audio[None], length, noise, torch.tensor([snr]))[0]
    gain = min(1.0, LOUDEST / max(mix.abs().max().item(), 1e-9))
    return Mix(mix * gain, int(clip[0]), gain)


def write_flac(path: Path, audio: Tensor) -> None:
    pcm = (audio * FULL_SCALE).round().short()
    encoded = io.BytesIO()  # so that a full disk is an OSError, which libsndfile would not raise
    soundfile.write(encoded, pcm.numpy(), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.getvalue())


if __name__ == "__main__":
    main()
