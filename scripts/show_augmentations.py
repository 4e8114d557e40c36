"""Every augmentation on one recording, to see and to hear.

    python scripts/show_augmentations.py speech.flac
    python scripts/show_augmentations.py speech.flac --noise-dir data/noise --rir-dir data/rooms \\
        --seed 3 --out augmentations

Each augmentation of configs/augmentation acts once, with the values of its config and probability
1, and so do the speeds of configs/best.yaml. OUT gets

    augmentations.png    a row for each: waveform and log-mel before, then after
    index.html           the same with players, in one file that can be sent to somebody
    NAME.wav             what each sounds like, beside original.wav

What is drawn from an interval is named with it. background_noise and reverberation need a folder.
Features are log energies; spec_augment and time_warp act after their normalisation, so there they
are in standard deviations. Of long recordings the first 15 s are taken.
"""

from __future__ import annotations

import argparse
import inspect
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets.speed_perturbation import change_speed
from src.logger.before_after import Change, Scale, Sound, overview, side_picture
from src.logger.listening_page import Entry, listening_page
from src.transforms import Draws, LogMel, normalize_features
from src.transforms.augmentation import Augmentation
from src.transforms.from_config import Choice, build_transforms, every_augmentation
from src.transforms.one_draw import fix_one_draw
from src.utils.audio import read_audio
from src.utils.entry_point import entry_point
from src.utils.errors import UserError

MAX_SECONDS = 15
SPEEDS = (0.9, 1.1)
LOG_ENERGY, NORMALISED = "log energy", "standard deviations"


class Shown(NamedTuple):
    """An augmentation and what it did; without `audio` it changed features."""

    name: str
    about: str
    parameters: list[str]
    usage: str
    change: Change
    audio: Tensor | None


@entry_point
def main() -> None:
    args = parse_arguments()
    if args.out.exists() and not args.out.is_dir():
        raise UserError(f"{args.out} is a file; name a folder")
    torch.set_num_threads(1)  # one recording is too little to share out
    choices, left_out = every_augmentation(noise_dir=args.noise_dir, rir_dir=args.rir_dir)
    log_mel = build_transforms("transforms=none").log_mel
    audio = read_audio(args.audio, log_mel.sample_rate)
    about = f"{args.audio.name}, seed {args.seed}."
    seconds = len(audio) / log_mel.sample_rate
    if seconds > MAX_SECONDS:
        about = f"The first {MAX_SECONDS} s of {seconds:.1f} of {about}"
        audio = audio[: MAX_SECONDS * log_mel.sample_rate]
    print(about)
    if left_out:
        print(sentence(left_out))
        about += f" {sentence(left_out)}"

    draws = Draws.of(args.seed, 0, [args.audio.stem])
    shown = [*at_speeds(audio, log_mel), *augmented(audio, log_mel, choices, draws)]
    args.out.mkdir(parents=True, exist_ok=True)
    original = wav(audio, log_mel.sample_rate)
    (args.out / "original.wav").write_bytes(original)
    (args.out / "augmentations.png").write_bytes(overview([one.change for one in shown]))
    entries = []
    for one in shown:
        sound = None if one.audio is None else wav(one.audio, log_mel.sample_rate)
        if sound:
            (args.out / f"{one.name}.wav").write_bytes(sound)
        scale = Scale.of(one.change)
        before, after = (
            side_picture(side, scale) for side in (one.change.before, one.change.after)
        )
        parameters = ", ".join(one.parameters)
        entries.append(Entry(one.name, one.about, parameters, one.usage, before, after, sound))
    page = listening_page("What the augmentations do", about, original, entries)
    (args.out / "index.html").write_text(page, encoding="utf-8")
    print(f"{args.out}: {len(shown)} augmentations; open {args.out / 'index.html'}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("audio", metavar="AUDIO", type=Path, help="a recording, of any format and rate")
    add("--noise-dir", metavar="DIR", type=Path, help="recordings of noise")
    add("--rir-dir", metavar="DIR", type=Path, help="impulse responses of rooms")
    out = Path("augmentations")
    add("--out", metavar="DIR", type=Path, default=out, help=f"folder to write; default: {out}")
    add("--seed", type=int, default=0, help="of what is drawn; default: 0")
    return parser.parse_args()


def sentence(left_out: dict[str, str]) -> str:
    """What is not shown, and how it would be."""
    options = " and ".join(f"--{setting.replace('_', '-')} DIR" for setting in left_out.values())
    verb = "is" if len(left_out) == 1 else "are"
    return f"{' and '.join(left_out)} {verb} left out: include with {options}."


def at_speeds(audio: Tensor, log_mel: LogMel) -> Iterator[Shown]:
    for speed in SPEEDS:
        changed = change_speed(audio, speed)
        name = f"speed_{speed:g}"
        parameters = [f"{len(audio) / 16000:.1f} s become {len(changed) / 16000:.1f} s"]
        sides = [sound_of(side, log_mel) for side in (audio, changed)]
        yield Shown(
            name,
            "Slower and lower." if speed < 1 else "Faster and higher.",
            parameters,
            "python train.py dataloader.speeds=[0.9,1.0,1.1]",
            Change(title_of(name, parameters), *sides, LOG_ENERGY),
            changed,
        )


def augmented(
    audio: Tensor, log_mel: LogMel, choices: dict[str, Choice], draws: Draws
) -> Iterator[Shown]:
    length = torch.tensor([len(audio)])
    energies, frames = log_mel(audio[None], length)
    normalised = normalize_features(energies, frames)
    for name, (augmentation, settings, of_features, needs) in choices.items():
        own = draws.fork(name)
        parameters, remarks = fix_one_draw(augmentation, settings, own), []
        if of_features:
            changed, unit = None, NORMALISED
            sides = [
                sound_of(audio, log_mel, features[0])
                for features in (normalised, augmentation(normalised, frames, own))
            ]
        else:
            changed, unit = augmentation(audio[None], length, own)[0], LOG_ENERGY
            sides = [sound_of(side, log_mel) for side in (audio, changed)]
            if (peak := changed.abs().max().item()) > 1:
                changed = changed / peak
                decibels = 20 * np.log10(peak)
                remarks = [f"the WAV {decibels:.1f} dB softer, so that nothing is clipped"]
        yield Shown(
            name,
            first_paragraph(augmentation),
            parameters + remarks,
            f"python train.py augmentation=[{name}]" + (f" {needs}=DIR" if needs else ""),
            Change(title_of(name, parameters), *sides, unit),
            changed,
        )


def sound_of(audio: Tensor, log_mel: LogMel, features: Tensor | None = None) -> Sound:
    if features is None:
        features = log_mel(audio[None], torch.tensor([len(audio)]))[0][0]
    return Sound(audio.numpy(), features.numpy(), log_mel.sample_rate)


def first_paragraph(augmentation: Augmentation) -> str:
    """Of the docstring, as running text."""
    text = (inspect.getdoc(augmentation) or "").split("\n\n")[0]
    return " ".join(text.replace("`", "").split())


def title_of(name: str, parameters: list[str]) -> str:
    return ": ".join([name, ", ".join(parameters)]) if parameters else name


def wav(audio: Tensor, sample_rate: int) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, audio.numpy(), sample_rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


if __name__ == "__main__":
    main()
