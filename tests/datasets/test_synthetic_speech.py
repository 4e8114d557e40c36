from __future__ import annotations

import hashlib
import json
import random
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from src.datasets.custom_dir_audio import CustomDirAudioDataset
from src.datasets.librispeech import LibriSpeechDataset
from src.datasets.sentence_grammar import sentence_split
from src.datasets.synthetic_speech import VARIANTS, SyntheticSpeechDataset, draw_utterance
from src.utils.errors import UserError
from src.utils.espeak import LANGUAGES, EspeakSynthesizer, Voice

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / "scripts/make_synthetic_corpus.py"


@pytest.fixture(scope="module")
def spoken() -> list[dict]:
    """Every split, spoken: enough voices and rates for statements about nearly all of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker of a DataLoader
    items = []
    for split in VARIANTS:
        dataset = SyntheticSpeechDataset(split, size=80)
        items += [{**dataset[i], "estimate": dataset.durations[i]} for i in range(80)]
    torch.set_num_threads(threads)
    return items


def digest(audio: torch.Tensor) -> str:
    return hashlib.sha256(audio.numpy().tobytes()).hexdigest()


def test_speakers_are_of_one_split_only_and_exist():
    variants = {split: [*women, *men] for split, (women, men) in VARIANTS.items()}
    everyone = [variant for names in variants.values() for variant in names]
    assert len(everyone) == len(set(everyone))
    assert set(everyone) <= set(EspeakSynthesizer().variants)
    for split, names in variants.items():
        dataset = SyntheticSpeechDataset(split, size=2000, languages=list(LANGUAGES))
        speakers = {row["speaker"] for row in dataset.index}
        assert speakers == {f"{lang}+{name}" for lang in LANGUAGES for name in names}


def test_no_two_speakers_sound_the_same():
    espeak = EspeakSynthesizer()
    variants = [name for women, men in VARIANTS.values() for name in (*women, *men)]
    sounds = {espeak.synthesize("hello", Voice("en-us", name)).tobytes() for name in variants}
    assert len(sounds) == len(variants)


def test_held_out_sentences_are_in_no_epoch_of_training():
    train = SyntheticSpeechDataset("train", size=3000)
    heard = set()
    for epoch in range(4):
        train.set_epoch(epoch)
        heard |= set(train.texts)
    assert len(heard) > 0.98 * 4 * 3000
    val, test = (set(SyntheticSpeechDataset(split, size=1000).texts) for split in ("val", "test"))
    assert not heard & val and not heard & test and not val & test
    for split, texts in (("train", heard), ("val", val), ("test", test)):
        assert {sentence_split(text) for text in texts} == {split}


def test_epochs_renew_training_and_nothing_else():
    for split, fresh, changes in (
        ("train", True, True),
        ("train", False, False),
        ("val", True, False),
        ("test", True, False),
    ):
        dataset = SyntheticSpeechDataset(split, size=20, fresh_each_epoch=fresh)
        first_texts, first_audio = dataset.texts, digest(dataset[3]["audio"])
        dataset.set_epoch(5)
        assert (dataset.texts != first_texts) is changes
        assert (digest(dataset[3]["audio"]) != first_audio) is changes
        dataset.set_epoch(0)
        assert dataset.texts == first_texts
        assert digest(dataset[3]["audio"]) == first_audio


def test_seeds_are_different_corpora():
    first, second = (set(SyntheticSpeechDataset("test", size=500, seed=s).texts) for s in (0, 1))
    assert len(first & second) < 10


def test_filters_hold_in_later_epochs():
    dataset = SyntheticSpeechDataset("train", size=300, max_duration=3.5, max_text_length=40)
    dataset.filter(lambda row: "the" in row["text"].split(), "no article")
    for epoch in (0, 1, 2):
        dataset.set_epoch(epoch)
        drawn = [draw_utterance("train", 0, epoch, i) for i in range(300)]
        assert dataset.texts == [
            u.text
            for u in drawn
            if u.estimated_duration <= 3.5 and len(u.text) <= 40 and "the" in u.text.split()
        ]
        assert 0 < len(dataset) < 300


def test_rows_and_items_follow_the_contract(spoken):
    dataset = SyntheticSpeechDataset("val", size=3)
    keys = {"utterance_id", "path", "text", "duration", "speaker"}
    assert all(row.keys() == keys for row in dataset.index)
    assert json.loads(json.dumps(list(dataset.index))) == dataset.index
    for item in spoken:
        assert item["audio"].dtype == torch.float32 and item["audio"].ndim == 1
        assert item["duration"] == len(item["audio"]) / 16000
        assert item["path"] == "synthetic://" + item["utterance_id"].replace("-", "/")
    assert len({item["utterance_id"] for item in spoken}) == len(spoken)


def test_estimated_durations_are_near(spoken):
    ratios = np.array([item["estimate"] / item["duration"] for item in spoken])
    assert np.mean(np.abs(ratios - 1) < 0.25) >= 0.95
    assert 1.0 < np.median(ratios) < 1.1  # a batch a little smaller than planned, not larger


def test_speech_is_slow_enough_for_ctc(spoken):
    for item in spoken:
        repeats = sum(a == b for a, b in pairwise(item["text"]))
        assert len(item["text"]) + repeats < 22 * item["duration"]  # of 25 frames a second
    rates = [len(item["text"]) / item["duration"] for item in spoken]
    assert 10 < np.median(rates) < 17  # LibriSpeech: 14 to 15


def test_level_and_silence(spoken):
    for item in spoken:
        audio = item["audio"].numpy()
        peak = np.abs(audio).max()
        assert 0.18 < peak < 0.93
        loud = np.flatnonzero(np.abs(audio) > 0.05 * peak)
        assert 0.04 < loud[0] / 16000 < 0.4
        assert 0.04 < (len(audio) - loud[-1]) / 16000 < 0.7
        # 20 ms of background before the speech: a hiss, faint, and never digital zeros
        background = audio[:320]
        assert np.count_nonzero(background) > 310
        assert 49 < 20 * np.log10(peak / background.std()) < 72
    peaks = [float(item["audio"].abs().max()) for item in spoken]
    assert max(peaks) > 2 * min(peaks)


def test_sample_rate_keeps_pitch_and_duration():
    slow, fast = (SyntheticSpeechDataset("test", 3, sample_rate=rate) for rate in (8000, 22050))
    for i in range(3):
        assert slow[i]["duration"] == pytest.approx(fast[i]["duration"], abs=0.001)
        spectra = []
        for dataset in (slow, fast):
            power = torch.fft.rfft(dataset[i]["audio"]).abs().square()
            bands = torch.tensor([0, 200, 400, 800, 1600, 3200]) * dataset[i]["duration"]
            band_power = [
                power[int(low) : int(high)].sum() for low, high in pairwise(bands.tolist())
            ]
            spectra.append(torch.stack(band_power) / sum(band_power))
        torch.testing.assert_close(spectra[0], spectra[1], atol=0.02, rtol=0.05)


@pytest.mark.parametrize(("start_method", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_say_the_same(start_method, workers):
    dataset = SyntheticSpeechDataset("train", size=8)
    dataset.filter(lambda row: True, "a lambda, which spawned workers cannot be sent")
    dataset.set_epoch(1)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, multiprocessing_context=start_method
    )
    heard = {item["utterance_id"]: digest(item["audio"]) for item in loader}
    assert heard == {
        row["utterance_id"]: digest(dataset[i]["audio"]) for i, row in enumerate(dataset.index)
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev", "size": 5}, "no split 'dev'.*train, val, test"),
        ({"split": "train", "size": 0}, "size=0"),
        ({"split": "train", "size": 5, "max_duration": 0.1}, "longer than 0.1 s"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    with pytest.raises(UserError, match=message):
        SyntheticSpeechDataset(**arguments)


@pytest.fixture
def write_corpus(monkeypatch, capsys):
    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_written_folder_is_read_back(write_corpus, tmp_path):
    arguments = [str(tmp_path), "--split", "val", "--size", "5", "--seed", "3"]
    # From another folder, as a process of its own: the script finds the repository by itself.
    subprocess.run([sys.executable, SCRIPT, *arguments], cwd=tmp_path, check=True)
    first = files(tmp_path)
    summary = write_corpus(*arguments)
    assert files(tmp_path) == first

    source = SyntheticSpeechDataset("val", size=5, seed=3)
    words = sum(len(text.split()) for text in source.texts)
    speakers = len({row["speaker"] for row in source.index})
    hours = sum(source[i]["duration"] for i in range(5)) / 3600
    expected = f"5 utterances, {hours:.2f} h, {speakers} speakers, {words} words"
    assert summary == f"{tmp_path}: {expected}\n"

    read = CustomDirAudioDataset(str(tmp_path / "audio"), str(tmp_path / "transcriptions"))
    audio = {item["utterance_id"]: item for item in (read[i] for i in range(5))}
    for i in range(5):
        item = source[i]
        assert audio[item["utterance_id"]]["text"] == item["text"]
        torch.testing.assert_close(
            audio[item["utterance_id"]]["audio"], item["audio"], atol=1 / 32768, rtol=0
        )


def test_written_librispeech_layout_is_read_back(write_corpus, tmp_path):
    write_corpus(tmp_path / "part", "--size", 6, "--layout", "librispeech")
    source = SyntheticSpeechDataset("test", size=6)
    read = LibriSpeechDataset("part", str(tmp_path))
    assert sorted(read.texts) == sorted(source.texts)
    assert {row["speaker"].replace("_", "-") for row in read.index} == {
        row["speaker"] for row in source.index
    }
    for path in (tmp_path / "part").rglob("*.flac"):
        speaker, chapter, _ = path.stem.split("-")
        assert path.parent == tmp_path / "part" / speaker / chapter
        assert soundfile.info(path).subtype == "PCM_16"


def test_script_names_a_mistake_in_one_sentence(write_corpus, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_code:
        write_corpus(tmp_path, "--size", 0)
    assert exit_code.value.code == 2
    assert capsys.readouterr().err == "error: synthetic test: size=0 is no corpus; use 1 or more.\n"


def test_draws_cover_the_ranges_evenly():
    drawn = [draw_utterance("train", 0, 0, i) for i in range(3000)]
    women = set(VARIANTS["train"][0])
    assert 0.46 < np.mean([u.voice.variant in women for u in drawn]) < 0.54
    for low, high, values in (
        (115, 170, [u.voice.rate for u in drawn]),
        (30, 70, [u.voice.pitch for u in drawn]),
    ):
        assert (min(values), max(values)) == (low, high)
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=1)
    # What is drawn for one utterance says nothing about the next one.
    assert random.Random("0/train/0/1").random() != random.Random("0/train/0/2").random()
    rates = np.array([u.voice.rate for u in drawn])
    assert abs(np.corrcoef(rates[1:], rates[:-1])[0, 1]) < 0.06


def test_a_higher_playback_rate_is_a_smaller_speaker():
    """Shorter, and every resonance higher, by the ratio of the rates: halves of a band compared."""
    dataset = SyntheticSpeechDataset("test", size=1)
    plain = replace(
        draw_utterance("test", 0, 0, 0), noise=0.0, leading_silence=0, trailing_silence=0
    )
    small = replace(plain, playback_rate=24000)
    ratio = 24000 / 22050
    slow, fast = dataset._record(plain), dataset._record(small)
    assert len(fast) == pytest.approx(len(slow) / ratio, rel=0.01)
    assert small.estimated_duration == pytest.approx(plain.estimated_duration / ratio, rel=0.01)

    def median_frequency(audio: torch.Tensor) -> float:
        power = torch.fft.rfft(audio).abs().square()[: len(audio) // 4].cumsum(0)  # below 4 kHz
        return torch.searchsorted(power, power[-1] / 2).item() / len(audio)

    assert median_frequency(fast) / median_frequency(slow) == pytest.approx(ratio, rel=0.03)


def test_only_training_speakers_change_size():
    assert len({draw_utterance("train", 0, 0, i).playback_rate for i in range(100)}) == 7
    for split in ("val", "test"):
        assert {draw_utterance(split, 0, 0, i).playback_rate for i in range(100)} == {22050}
