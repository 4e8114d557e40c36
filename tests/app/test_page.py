"""The page in a real browser: a file, a microphone, another decoder, and what goes wrong."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.trainer import Transcriber
from tests.app.conftest import noise
from tests.report.conftest import chromium

CONTRAST = Path(__file__).parents[1] / "report" / "contrast.js"
SPITEFUL = "<img src=x onerror=window.broken=1>.wav"


def wait_for(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.05)
    return found


@pytest.fixture
def page(browser, server):
    return opened(browser, server)


def opened(browser, server, **how):
    browser.open(server.url, **how)
    wait_for(lambda: not browser.run("return document.getElementById('record').disabled"))
    return browser


def text(page, selector: str) -> str:
    return page.run("return document.querySelector(arguments[0]).textContent", selector)


def choose(page, path: Path, decoder: str = "argmax") -> list[str]:
    """Sends the file; the words that are shown then."""
    page.run("document.getElementById('decoder').value = arguments[0]", decoder)
    page.all("#file")[0].send_keys(str(path))
    wait_for(lambda: page.texts("#text .word") or text(page, "#error"))
    return page.texts("#text .word")


def test_the_model_and_what_was_measured_of_it(page):
    model = text(page, "#model")
    assert model.startswith("made_up · ")
    assert (
        "WER 9.9 % (11.1 – 13.8) on test, 1,145 recordings".replace(" %", "\u2009%").replace(
            " – ", "\u2009–\u2009"
        )
        in model
    )
    assert model.endswith("language model one_word.arpa")
    page.run(
        "const d = document.getElementById('decoder'); d.value = 'argmax';"
        "d.dispatchEvent(new Event('change'))"
    )
    assert "WER 12.3" in text(page, "#model")
    assert not page.all("#weight")[0].is_displayed()
    assert text(page, "#limits") == "wav, flac, mp3, ogg or opus, up to 2 minutes and 30 MB"
    assert not page.complaints()


def test_a_file_becomes_words_over_its_waveform(page, run, recording):
    expected = Transcriber.from_pretrained(run, device="cpu")(recording)
    assert choose(page, recording) == [word.text for word in expected.words]
    assert page.texts(".words span") == [word.text for word in expected.words]
    titles = page.run(
        "return [...document.querySelectorAll('#text .word')].map((node) => node.title)"
    )
    for title, word in zip(titles, expected.words):
        assert title.startswith(f"{word.start:.2f}\u2009–\u2009{word.end:.2f} s")
        assert title.endswith(f"{round(100 * word.confidence)}\u2009% sure")
    # a label is over its place in the waveform, or pushed back by the edge
    places = page.run(
        "const all = document.querySelector('.track').offsetWidth;"
        "return [...document.querySelectorAll('.words span')].map((node) =>"
        "  [node.offsetLeft / all, node.offsetWidth / all])"
    )
    for (left, width), word in zip(places, expected.words):
        assert left == pytest.approx(min(word.start / 3.0, 1 - width), abs=0.01)
    # where it is loud there is more ink; the noise is loud in the first half of each second
    ink = page.run(
        """
        const canvas = document.querySelector("canvas"), columns = [], { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        const ink = (x, y) => data[4 * (y * width + x) + 3] > 99;
        for (let x = 0; x < canvas.width; x++) {
          let count = 0;
          for (let y = 0; y < canvas.height; y++) count += ink(x, y);
          columns.push(count);
        }
        return columns;
        """
    )
    sixths = [part.mean() for part in np.array_split(np.array(ink, float), 6)]
    assert min(sixths[::2]) > 3 * max(sixths[1::2])
    assert not page.complaints()


def test_a_word_that_is_clicked_is_played(page, recording):
    choose(page, recording)
    audio = "const audio = document.getElementById('audio');"
    assert wait_for(lambda: page.run(audio + "return audio.duration")) == pytest.approx(3.0)
    page.run(
        "window.played = [];"
        + audio
        + "audio.addEventListener('timeupdate', () => window.played.push(audio.currentTime))"
    )
    word = page.all("#text .word")[0]
    start, end = (float(part) for part in word.get_attribute("title").split(" s")[0].split("–"))
    word.click()
    wait_for(lambda: page.run(audio + "return audio.paused && window.played.length > 1"))
    played = page.run("return window.played")
    assert min(played) == pytest.approx(max(0, start - 0.08), abs=0.05)
    assert end - 0.05 < max(played) < end + 0.5
    assert not page.complaints()


def test_the_difference_that_a_decoder_makes_is_marked(page, recording):
    before = choose(page, recording)
    page.run(
        """
        const decoder = document.getElementById("decoder");
        const alpha = document.getElementById("alpha");
        decoder.value = "beam_search_lm";
        alpha.value = 3;
        decoder.dispatchEvent(new Event("change"));
        """
    )
    wait_for(lambda: text(page, "#change"))
    after = page.texts("#text .word")
    assert after != before
    gone, new = page.texts("#text del"), page.texts("#text ins .word")
    kept = [word for word in after if word not in new]
    assert [word for word in before if word not in gone] == kept
    assert f"{max(len(gone), len(new))} of" in text(page, "#change")
    sign = "return getComputedStyle(document.querySelector(arguments[0])).textDecorationLine"
    assert page.run(sign, "#text del") == "line-through"  # not by its colour alone
    assert text(page, "#alpha-value") == "3.0"
    slider = page.all("#alpha")[0]
    slider.send_keys("\ue012" * 30)  # arrow left
    wait_for(lambda: text(page, "#alpha-value") == "0.0")
    assert not page.complaints()


def test_dropped_files_of_every_name_and_kind(page, recording):
    drop = """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], arguments[1]));
        const how = { dataTransfer, bubbles: true, cancelable: true };
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", how));
        return document.getElementById("status").textContent;
    """
    content = base64.b64encode(recording.read_bytes()).decode()
    assert page.run(drop, content, SPITEFUL) == f"Listening to {SPITEFUL} …"
    wait_for(lambda: page.texts("#text .word"))
    assert page.run("return window.broken") is None
    assert not page.all("main img")
    video = base64.b64encode(b"\0\0\0\x20ftypisom" + bytes(5000)).decode()
    page.run(drop, video, "film.mp4")
    error = wait_for(lambda: text(page, "#error"))
    assert error.startswith("This is an MP4 file, not a recording; send its sound as wav")
    assert page.all("#error")[0].get_attribute("role") == "alert"
    large = (
        "const file = new File([new Uint8Array(31e6)], 'large.wav');"
        "const dataTransfer = new DataTransfer(); dataTransfer.items.add(file);"
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true }))"
    )
    page.run(large)
    wait_for(lambda: text(page, "#error") == "large.wav is larger than 30 MB.")
    # a refusal is also a line in the browser's console; nothing else is
    assert all("415 (Unsupported Media Type)" in line for line in page.complaints())


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_is_readable_at_any_width_in_both_themes(browser, server, recording, width, dark):
    page = opened(browser, server, width=width, dark=dark)
    choose(page, recording, decoder="beam_search_lm")
    page.run(
        "const d = document.getElementById('decoder'); d.value = 'argmax';"
        "d.dispatchEvent(new Event('change'))"
    )
    wait_for(lambda: text(page, "#change"))
    assert page.run("return document.documentElement.scrollWidth") <= width
    for what, ratio in page.run(CONTRAST.read_text()):
        assert ratio >= 4.5, what
    background = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(background)
    page.all("#theme")[0].click()
    assert page.run(background) != before
    assert not page.complaints()


def test_everything_has_a_name_and_is_reached_by_the_keyboard(page, recording):
    from selenium.webdriver import ActionChains

    choose(page, recording, decoder="beam_search_lm")
    for control in page.all("button, select, input, audio, #wave, #text"):
        named = control.accessible_name or control.get_attribute("id") == "audio"
        assert named, control.get_attribute("outerHTML")
    reached = []
    for _ in range(30):
        ActionChains(page.driver).send_keys("\ue004").perform()  # tab
        reached.append(page.driver.switch_to.active_element.get_attribute("id"))
    assert {"theme", "record", "file", "decoder", "alpha", "wave", "copy"} <= set(reached)


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    """A browser whose microphone hears ten seconds of noise, and then them again."""
    path = tmp_path_factory.mktemp("microphone") / "said.wav"
    soundfile.write(path, noise(10.0) / 2, 16000)
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}",
    ) as browser:
        yield browser


def test_a_microphone_gives_text_while_one_speaks(listener, server):
    page = opened(listener, server)
    page.run(
        "const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => make.call(URL, (window.playable = blob))"
    )
    page.all("#record")[0].click()
    partial = wait_for(lambda: page.run("return document.querySelector('.live')?.textContent"))
    wait_for(lambda: len(text(page, "#text")) > 5 and text(page, "#text") != partial)
    assert server.about()["served"]["streams"] == 1
    assert text(page, "#record-label").startswith("Stop · ")
    time.sleep(2)
    page.all("#record")[0].click()
    words = wait_for(lambda: page.texts("#text .word"))
    wait_for(lambda: text(page, "#record-label") == "Record")
    seconds = wait_for(lambda: page.run("return document.getElementById('audio').duration"))
    assert seconds > 2.5
    # what was recorded is what is played; as a file it gives the same words
    recorded = page.driver.execute_async_script(
        """
        const done = arguments[0], reader = new FileReader();
        reader.onload = () => done(reader.result.split(",")[1]);
        reader.readAsDataURL(window.playable);
        """
    )
    answer = server.transcribe(base64.b64decode(recorded), decoder="beam_search_lm").json()
    assert words == [word["text"] for word in answer["words"]]
    assert not page.complaints()
    server.wait_until_idle()


def test_without_a_microphone_the_page_says_so(page):
    page.all("#record")[0].click()
    error = wait_for(lambda: text(page, "#error"))
    assert error in ("There is no microphone to record from.", "The microphone was not allowed.")
    assert text(page, "#record-label") == "Record"
