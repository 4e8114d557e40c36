"""A noisy copy of a small corpus: what was added, measured in numpy, and what stayed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hydra import compose, initialize_config_dir

from src.datasets import LibriSpeechDataset
from src.trainer.build import build_datasets
from src.trainer.config_checks import check_inference

ROOT = Path(__file__).parents[2]
NAMES = ("1/2/1-2-0001", "1/2/1-2-0002", "1/2/1-2-0003", "1/3/1-3-0001")
LOUD = NAMES[1]


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("add_noise")


@pytest.fixture
def part(tmp_path) -> Path:
    """Four utterances, one as loud as 16 bits allow."""
    part = tmp_path / "LibriSpeech" / "clean"
    generator = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        voice = np.sin(np.arange(12000 + 3000 * number) * 0.05) * generator.uniform(0, 1)
        voice *= (1.0 if name == LOUD else 0.2) / np.abs(voice).max()
        path = part / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice, 16000)
    for chapter in ("1/2", "1/3"):
        ids = [Path(name).name for name in NAMES if name.startswith(chapter)]
        text = "".join(f"{name} WORDS\r\n" for name in ids).encode()
        (part / chapter / f"{chapter.replace('/', '-')}.trans.txt").write_bytes(text)
    (part / "SPEAKERS.TXT").write_bytes("Zoë | Müller\n".encode("latin-1"))
    return part


@pytest.fixture
def noise(tmp_path) -> Path:
    """Tones, a kHz for each source, two takes of the first; half of each clip is silent."""
    folder = tmp_path / "noise"
    folder.mkdir()
    time = np.arange(8000) / 16000
    for name in ("1-1000-A", "1-1000-B", "1-2000-A", "1-3007-A"):
        tone = 0.1 * np.sin(2 * np.pi * 1000 * int(name[2]) * time) * (time < 0.25)
        soundfile.write(folder / f"{name}.wav", tone, 16000)
    return folder


def added(part: Path, copy: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What there was and what came to it; a mix that was turned down is turned up first."""
    clean, _ = soundfile.read(part / f"{name}.flac")
    noisy, rate = soundfile.read(copy / f"{name}.flac")
    info = soundfile.info(copy / f"{name}.flac")
    assert (rate, info.subtype, len(noisy)) == (16000, "PCM_16", len(clean))
    # the tones hardly overlap with the voice, so least squares gives its share
    return clean, noisy / (noisy @ clean / (clean @ clean)) - clean


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 30.0])
def test_the_ratio_is_exact_and_transcripts_stay(script, run_main, part, noise, snr):
    copy = part.with_name("noisy")
    code, printed, complaint = run_main(
        script, part, copy, "--noise-dir", noise, "--snr", snr, "--seed", 1
    )
    assert code == 0, complaint
    assert f"4 recordings (0.00 h) at {snr:g} dB with noise of 4 clips" in printed
    for name in NAMES:
        clean, noise_part = added(part, copy, name)
        assert decibels((clean**2).mean() / (noise_part**2).mean()) == pytest.approx(snr, abs=0.5)
    texts = [path for path in part.rglob("*") if path.suffix.lower() == ".txt"]
    assert len(texts) == 3
    for path in texts:
        assert (copy / path.relative_to(part)).read_bytes() == path.read_bytes()
    assert not part.with_name("noisy.partial").exists()


def test_the_copy_is_a_part_of_librispeech(script, run_main, part, noise, tmp_path):
    copy = part.with_name("noisy")
    assert run_main(script, part, copy, "--noise-dir", noise, "--snr", 10)[0] == 0
    before, after = (
        LibriSpeechDataset(folder.name, str(part.parent), download=False) for folder in (part, copy)
    )
    assert [row["utterance_id"] for row in after.index] == [Path(name).name for name in NAMES]
    for one, other in zip(before, after):
        assert (one["text"], one["duration"]) == (other["text"], other["duration"])
        assert not np.array_equal(one["audio"], other["audio"])
    # as the command in the script's help reads it
    overrides = ["datasets=librispeech_test", "datasets.test_clean.part=noisy"]
    overrides += ["datasets.test_other=null", "inferencer.from_pretrained=x", "device=cpu"]
    with initialize_config_dir(str(ROOT / "configs"), version_base=None):
        config = compose("inference", [*overrides, f"data_dir={tmp_path}"])
    check_inference(config)
    [dataset] = [split for split in build_datasets(config).values() if split is not None]
    assert len(dataset) == 4


def test_held_out_clips_are_never_heard_and_the_report_names_those_that_are(
    script, run_main, part, noise
):
    copy = part.with_name("noisy")
    options = ("--noise-dir", noise, "--noise-clips", "*[0-6]-?.wav", "--snr", 0, "--seed", 5)
    assert run_main(script, part, copy, *options)[0] == 0
    with (copy / "noise.csv").open(newline="") as file:
        report = {row["recording"]: row for row in csv.DictReader(file)}
    assert report.keys() == {f"{name}.flac" for name in NAMES}
    heard = set()
    for name in NAMES:
        _, tone = added(part, copy, name)
        spectrum = np.abs(np.fft.rfft(tone))
        hertz = np.fft.rfftfreq(len(tone), 1 / 16000)[500:][spectrum[500:].argmax()]
        row = report[f"{name}.flac"]
        assert round(hertz / 1000) == int(row["clip"][2])
        heard.add(round(hertz / 1000))
        assert (float(row["gain"]) < 1) == (name == LOUD)
    assert heard <= {1, 2}


def test_a_mix_that_would_clip_is_turned_down_as_a_whole(script, run_main, part, noise):
    copy = part.with_name("noisy")
    assert run_main(script, part, copy, "--noise-dir", noise, "--snr", 10)[0] == 0
    pcm, _ = soundfile.read(copy / f"{LOUD}.flac", dtype="int16")
    assert np.abs(pcm.astype(int)).max() == 32767
    assert (np.abs(pcm.astype(int)) == 32767).sum() <= 2  # a peak, no plateau


def test_seed_and_path_decide_alone(script, run_main, part, noise, tmp_path):
    def copy(source, name, *options) -> dict[str, bytes]:
        out = tmp_path / name
        assert run_main(script, source, out, "--noise-dir", noise, "--snr", 5, *options)[0] == 0
        return {path.stem: path.read_bytes() for path in sorted(out.rglob("*.flac"))}

    first = copy(part, "first")
    assert copy(part, "second") == first
    assert copy(part, "third", "--seed", 9) != first
    (part / f"{NAMES[0]}.flac").unlink()
    wav = part / f"{NAMES[2]}.wav"  # the same samples in another format
    soundfile.write(wav, *soundfile.read(part / f"{NAMES[2]}.flac", dtype="int16"))
    (part / f"{NAMES[2]}.flac").unlink()
    fewer = copy(part, "fewer")
    assert fewer == {name: first[name] for name in fewer}
    assert len(fewer) == 3


def test_silence_stays_silent_and_noise_is_found_in_half_silent_clips(
    script, run_main, tmp_path, noise
):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    soundfile.write(corpus / "silence.wav", np.zeros(800), 16000)
    for number in range(20):  # as short as the silent half of each clip
        soundfile.write(corpus / f"{number}.wav", np.full(800, 0.1), 16000)
    assert run_main(script, corpus, tmp_path / "out", "--noise-dir", noise, "--snr", 10)[0] == 0
    assert not soundfile.read(tmp_path / "out" / "silence.flac")[0].any()
    for number in range(20):
        noisy, _ = soundfile.read(tmp_path / "out" / f"{number}.flac")
        assert decibels(0.1**2 / ((noisy - 0.1) ** 2).mean()) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "out"], "nowhere is not a folder; name one of recordings"),
        (["empty", "out"], "empty has no recording"),
        (["clean", "full"], "full is there and not an empty folder"),
        (["clean", "full/a file"], "a file is there and not an empty folder"),
        (["clean", "full/a file/x"], "x cannot be made (Not a directory)"),
        (["clean", "clean/noisy"], "clean/noisy lies in clean"),
        (["clean", "out", "--noise-clips", "2-*"], "none of the 4 recordings in"),
        (["clean", "out", "--noise-dir", "empty"], "empty has no recording"),
        (["clean", "out", "--noise-dir", "silent"], "silent has hardly anything but silence"),
        (["clean", "out", "--snr", "nan"], "--snr must be from -30 to 60 dB"),
        (["twins", "out"], "twins has a.flac and a.wav, of which both would become a.flac"),
        (["torn", "out"], "torn/a.wav cannot be read as audio"),
    ],
)
def test_mistakes_end_in_one_sentence_and_leave_nothing(
    script, run_main, part, noise, arguments, sentence, monkeypatch
):
    monkeypatch.chdir(part.parent)
    for name in ("empty", "full", "silent", "twins", "torn"):
        Path(name).mkdir()
    Path("full/a file").write_text("")
    Path("torn/a.wav").write_bytes(b"RIFF")
    for name in ("silent/a.wav", "twins/a.wav", "twins/a.flac"):
        soundfile.write(name, np.zeros(800), 16000)
    before = sorted(Path().rglob("*"))
    code, _, complaint = run_main(script, "--noise-dir", noise, "--snr", 10, *arguments)
    assert code == 2
    assert sentence in complaint.strip().splitlines()[-1]
    assert "Traceback" not in complaint
    assert sorted(Path().rglob("*")) == before
