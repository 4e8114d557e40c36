"""One run with a few of the augmentations: what the folder holds, and what can be heard in it.

That `every_augmentation` leaves none out: tests/transforms/test_from_config.py.
"""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

HEARD = {"gain", "low_pass", "background_noise"}
SPEEDS = {"speed_0.9": 0.9}
SHOWN = {*HEARD, *SPEEDS, "spec_augment"}
SECONDS = 16  # one more than is taken


class Page(HTMLParser):
    """Sections of the page and what is embedded in them; a tag left open is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.section = "original"
        self.sounds: dict[str, bytes] = {}
        self.pictures: dict[str, list[bytes]] = {}
        self.text = ""
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "section":
            self.section = values["id"]
        for name in ("src", "href"):
            if name in values:
                self.links.append(values[name])
        if tag in ("audio", "img"):
            kind, content = values["src"].split(";base64,")
            assert kind == {"audio": "data:audio/wav", "img": "data:image/webp"}[tag]
            decoded = base64.b64decode(content, validate=True)
            if tag == "audio":
                assert self.section not in self.sounds
                self.sounds[self.section] = decoded
            else:
                assert values["alt"]
                self.pictures.setdefault(self.section, []).append(decoded)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("show_augmentations")


@pytest.fixture(scope="module")
def made(script, tmp_path_factory):
    """The folder, what was printed, and the recording: a voice of 200 Hz with a loud moment."""
    folder = tmp_path_factory.mktemp("shown")
    time = np.arange(SECONDS * 16000) / 16000
    voice = sum(np.sin(2 * np.pi * 200 * n * time) / n for n in range(1, 20))
    voice *= 0.1 * (1 + np.sin(2 * np.pi * 2 * time))
    soundfile.write(folder / "<voice>.wav", voice, 16000)
    (folder / "noise").mkdir()
    hum = np.sin(2 * np.pi * 7000 * time[:8000])
    soundfile.write(folder / "noise" / "hum.wav", 0.1 * hum, 16000)
    patch = pytest.MonkeyPatch()
    every = script.every_augmentation

    def a_few(**folders):
        choices, left_out = every(**folders)
        return {name: choices[name] for name in choices if name in SHOWN}, left_out

    patch.setattr(script, "every_augmentation", a_few)
    patch.setattr(script, "SPEEDS", tuple(SPEEDS.values()))
    arguments = ["show", folder / "<voice>.wav", "--noise-dir", folder / "noise"]
    patch.setattr("sys.argv", [*map(str, arguments), "--out", str(folder / "out")])
    printed = io.StringIO()
    patch.setattr("sys.stdout", printed)
    script.main()
    patch.undo()
    return folder / "out", printed.getvalue(), voice[: 15 * 16000]


def test_a_sound_for_each_augmentation_that_has_one(made):
    out, printed, _ = made
    assert "The first 15 s of 16.0 of <voice>.wav, seed 0." in printed
    assert "reverberation is left out: include with --rir-dir DIR." in printed
    files = {f"{name}.wav" for name in (*HEARD, *SPEEDS, "original")}
    assert {path.name for path in out.iterdir()} == {*files, "index.html", "augmentations.png"}


def test_the_page_stands_alone_and_has_every_sound_and_picture(made):
    out, _, voice = made
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    assert all(link.startswith("data:") for link in page.links)
    assert "url(" not in (out / "index.html").read_text(encoding="utf-8")
    assert "The first 15 s of 16.0 of <voice>.wav" in page.text
    assert page.sounds.keys() == {path.stem for path in out.glob("*.wav")}
    for name, content in page.sounds.items():
        assert content == (out / f"{name}.wav").read_bytes()
        samples, rate = soundfile.read(io.BytesIO(content))
        assert rate == 16000
        assert len(samples) == pytest.approx(len(voice) / SPEEDS.get(name, 1), abs=1)
        assert np.abs(samples).max() > 0.05
    assert page.pictures.keys() == SHOWN
    for name, (before, after) in page.pictures.items():
        assert imread(io.BytesIO(before), format="webp").std() > 10
        assert before != after, name


def test_what_is_named_is_what_was_done(made):
    """Gain, noise and cut-off as the page states them, measured in the WAVs."""
    out, _, voice = made
    text = Page((out / "index.html").read_text(encoding="utf-8")).text

    def stated(name: str, setting: str) -> float:
        section = text[text.index(f"\n{name}\n") :]
        return float(section[section.index(f"{setting} ") :].split()[1])

    def sound(name: str) -> np.ndarray:
        return soundfile.read(out / f"{name}.wav")[0]

    def decibels(ratio: float) -> float:
        return 10 * float(np.log10(ratio))

    assert np.abs(sound("original") - voice).max() < 1e-4
    measured = decibels((sound("gain") ** 2).sum() / (voice**2).sum())
    assert measured == pytest.approx(stated("gain", "decibels"), abs=0.1)
    noise = sound("background_noise") - voice
    measured = decibels((voice**2).sum() / (noise**2).sum())
    assert measured == pytest.approx(stated("background_noise", "snr"), abs=0.5)
    spectrum = np.abs(np.fft.rfft(noise))
    assert np.fft.rfftfreq(len(noise), 1 / 16000)[spectrum.argmax()] == pytest.approx(7000, abs=5)
    # 2nd order Butterworth at each harmonic of the voice
    cutoff = stated("low_pass", "cutoff")
    harmonics = np.arange(1, 20) * 200 * 15
    was, became = (np.abs(np.fft.rfft(x))[harmonics] for x in (voice, sound("low_pass")))
    expected = (1 + (harmonics / 15 / cutoff) ** 4) ** -0.5
    np.testing.assert_allclose(became / was, expected, rtol=0.03)


def test_the_overview_has_a_row_for_each(made):
    out, *_ = made
    picture = imread(out / "augmentations.png")[..., :3].mean(axis=2)
    assert len(picture) % len(SHOWN) == 0
    for row in np.split(picture, len(SHOWN)):
        assert (row[:, [*range(10), *range(-10, 0)]] == 1).all()  # nothing is cut off
        assert (row < 0.4).mean() > 0.02


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.wav"], "missing.wav does not exist"),
        (["a.wav", "--noise-dir", "nowhere"], "nowhere is not a folder"),
        (["a.wav", "--rir-dir", "empty"], "empty has no recording"),
        (["a.wav", "--out", "a.wav"], "a.wav is a file; name a folder"),
        (["torn.wav"], "torn.wav cannot be read as audio"),
    ],
)
def test_mistakes_end_in_one_sentence(script, run_main, arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("torn.wav").write_bytes(b"RIFF")
    soundfile.write("a.wav", np.ones(1600) / 2, 16000)
    code, _, complaint = run_main(script, *arguments)
    assert code == 2
    assert sentence in complaint
    assert len(complaint.strip().splitlines()) == 1
