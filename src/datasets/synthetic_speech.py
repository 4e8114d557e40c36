# ruff: noqa: SIM905 (a page of quoted words is hard to read)
"""Speech without end and without a download: eSpeak NG reads sentences of a grammar, or of a text.

    train = SyntheticSpeechDataset("train", size=2000)   # other utterances in each epoch
    test = SyntheticSpeechDataset("test", size=200)      # unseen sentences by unseen speakers

Nothing is on disk: an utterance is drawn from (seed, split, epoch, number) and spoken when it is
asked for, some 400 times faster than it plays, in the DataLoader's workers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
import torchaudio
from torch import Tensor

from src.datasets.base_dataset import BaseDataset, Row
from src.datasets.sentence_grammar import SPLITS, SentenceGrammar
from src.datasets.text_sentences import TextSentences
from src.text_encoder.normalize import normalize_text
from src.utils.errors import UserError
from src.utils.espeak import LANGUAGES, SAMPLE_RATE, EspeakSynthesizer, Voice

# (women, men) of each split; every one of them speaks with every accent. Those of eSpeak's
# variants are left out that are robots, whisper, overdrive, are near copies of another one here,
# or that a template matcher (60 words, dynamic time warping) misreads more than once in thirty.
VARIANTS = {
    "train": (
        "f1 f2 f3 f5 Annie grandma".split(),
        """m1 m2 m3 m6 m8 Alex Denis Gene Mario Mike Reed adam boris ed grandpa gustave iven4 john
        klatt3 max michel pablo quincy sandro""".split(),
    ),
    "val": (["belinda"], ["m4", "edward", "victor"]),
    "test": (["f4", "steph2"], ["m5", "m7", "paul"]),
}


# Hz at which training speech is taken to be recorded; eSpeak's own is 22,050. Above it speakers are
# smaller (higher voice and formants, quicker), below it larger: many more of them than variants.
PLAYBACK_RATES = (19200, 20000, 20800, SAMPLE_RATE, 22400, 23200, 24000)


@dataclass(frozen=True)
class SyntheticUtterance:
    """All there is to know of an utterance before it is spoken.

    `playback_rate` (Hz) scales the speaker's size, see `PLAYBACK_RATES`.
    `peak` is the loudest sample, in [0, 1]; silences are in seconds; `noise` is the standard
    deviation of the recording's background, as a share of `peak`, and `noise_seed` draws it.
    """

    utterance_id: str
    path: str
    text: str
    voice: Voice
    playback_rate: int
    peak: float
    leading_silence: float
    trailing_silence: float
    noise: float
    noise_seed: int

    @property
    def estimated_duration(self) -> float:
        """Seconds, fitted to eSpeak's speech; a little too long rather than too short."""
        letters = len(self.text.replace(" ", ""))
        words = len(self.text.split())
        speech = 9.4 * (letters + words) / self.voice.rate * (SAMPLE_RATE / self.playback_rate)
        return self.leading_silence + speech + self.trailing_silence


class Sentences(Protocol):
    """What is spoken: `SentenceGrammar` or `TextSentences`."""

    def sentence(self, rng: random.Random, split: str) -> str: ...


def draw_utterance(
    split: str,
    seed: int,
    epoch: int,
    number: int,
    languages: Sequence[str] = ("en-us",),
    sentences: Sentences | None = None,
) -> SyntheticUtterance:
    """The same utterance for the same arguments, on any machine; of the grammar by default."""
    rng = random.Random(f"{seed}/{split}/{epoch}/{number}")
    text = normalize_text((sentences or _grammar()).sentence(rng, split))
    voice = Voice(
        language=rng.choice(languages),
        variant=rng.choice(rng.choice(VARIANTS[split])),
        rate=rng.randint(115, 170),
        pitch=rng.randint(30, 70),
        pitch_range=rng.randint(30, 70),
    )
    return SyntheticUtterance(
        utterance_id=f"{split}-{epoch}-{number}",
        path=f"synthetic://{split}/{epoch}/{number}",
        text=text,
        voice=voice,
        playback_rate=rng.choice(PLAYBACK_RATES) if split == "train" else SAMPLE_RATE,
        peak=rng.uniform(0.2, 0.9),
        leading_silence=rng.uniform(0.05, 0.25),
        trailing_silence=rng.uniform(0.05, 0.25),
        noise=10 ** rng.uniform(-3.5, -2.5),
        noise_seed=rng.getrandbits(63),
    )


class SyntheticSpeechDataset(BaseDataset):
    """Unseen speakers and unseen sentences are held out: "val" and "test" share neither with
    "train" in any epoch, nor speakers with each other.

    `durations` are estimates, for batching; an item carries its true duration. Workers of a
    DataLoader hold a copy of the index, so `persistent_workers=True` would repeat an epoch.

    Args:
        split: train, val or test.
        size: utterances per epoch, before the limits.
        seed: another seed, another corpus.
        fresh_each_epoch: "train" is drawn anew by `set_epoch`; the others never are.
        languages: accents, of `src.utils.espeak.LANGUAGES`; every voice speaks all of them.
        text: a file of sentences to speak instead of the grammar's, .txt, .gz or .xz.
        sample_rate and the limits: see `BaseDataset`.

    Raises:
        UserError: no such split, accent or text, or the wheel `espeakng-loader` is missing.
    """

    def __init__(
        self,
        split: str,
        size: int,
        seed: int = 0,
        fresh_each_epoch: bool = True,
        languages: Sequence[str] = ("en-us",),
        text: str | None = None,
        sample_rate: int = 16000,
        min_duration: float | None = None,
        max_duration: float | None = None,
        max_text_length: int | None = None,
        min_characters_per_second: float | None = None,
        max_characters_per_second: float | None = None,
    ) -> None:
        if split not in SPLITS:
            raise UserError(f"no split {split!r} of synthetic speech: use {', '.join(SPLITS)}.")
        if unknown := [name for name in languages if name not in LANGUAGES]:
            raise UserError(f"no accent {unknown[0]!r}: use some of {', '.join(LANGUAGES)}.")
        if size < 1:
            raise UserError(f"synthetic {split}: size={size} is no corpus; use 1 or more.")
        self.split = split
        self.size = size
        self.seed = seed
        self.fresh_each_epoch = fresh_each_epoch and split == "train"
        self.languages = list(languages)
        self._sentences = TextSentences(text) if text else _grammar()
        self._synthesizer = EspeakSynthesizer()
        self._filters: list[tuple[Callable[[Row], bool], str]] = []
        super().__init__(
            self._draw(epoch=0),
            sample_rate=sample_rate,
            min_duration=min_duration,
            max_duration=max_duration,
            max_text_length=max_text_length,
            min_characters_per_second=min_characters_per_second,
            max_characters_per_second=max_characters_per_second,
            name=f"synthetic {split}",
        )

    def filter(self, keep: Callable[[Row], bool], reason: str) -> None:
        """As in `BaseDataset`; `keep` is also asked about the rows of later epochs."""
        self._filters.append((keep, reason))
        super().filter(keep, reason)

    def set_epoch(self, epoch: int) -> None:
        """Draws the utterances of `epoch`, where they are fresh in each."""
        if not self.fresh_each_epoch:
            return
        self.index = self._draw(epoch)
        for keep, reason in self._filters:
            super().filter(keep, reason)

    def __getitem__(self, position: int) -> dict[str, Any]:
        row = self.index[position]
        audio = self._record(self._utterances[row["utterance_id"]])
        return {**row, "audio": audio, "duration": len(audio) / self.sample_rate}

    def __getstate__(self) -> dict[str, Any]:
        """Spawned workers get no filters: these may be lambdas, and a worker's index is final."""
        return {**self.__dict__, "_filters": []}

    def _draw(self, epoch: int) -> list[Row]:
        drawn = [
            draw_utterance(self.split, self.seed, epoch, i, self.languages, self._sentences)
            for i in range(self.size)
        ]
        self._utterances = {utterance.utterance_id: utterance for utterance in drawn}
        return [
            {
                "utterance_id": utterance.utterance_id,
                "path": utterance.path,
                "text": utterance.text,
                "duration": utterance.estimated_duration,
                "speaker": utterance.voice.speaker,
            }
            for utterance in drawn
        ]

    def _record(self, utterance: SyntheticUtterance) -> Tensor:
        """Speech with silence around it and a faint hiss under it, [S] at `sample_rate`.

        eSpeak's own pauses are digital zeros, whose logarithm no recording has.
        """
        speech = torch.from_numpy(self._synthesizer.synthesize(utterance.text, utterance.voice))
        speech = _resampler(utterance.playback_rate, self.sample_rate)(speech)
        speech = torch.nn.functional.pad(
            speech * (utterance.peak / speech.abs().max()),
            (
                round(utterance.leading_silence * self.sample_rate),
                round(utterance.trailing_silence * self.sample_rate),
            ),
        )
        generator = torch.Generator().manual_seed(utterance.noise_seed)
        hiss = torch.randn(len(speech), generator=generator) * (utterance.noise * utterance.peak)
        return (speech + hiss).clamp(-1.0, 1.0)


@cache
def _grammar() -> SentenceGrammar:
    return SentenceGrammar()


@cache
def _resampler(from_rate: int, to_rate: int) -> torchaudio.transforms.Resample:
    return torchaudio.transforms.Resample(from_rate, to_rate)
