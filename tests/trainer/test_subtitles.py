"""The files are read back by grammars written from the formats' descriptions."""

from __future__ import annotations

import html
import random
import re

import pytest

from src.decoding import Word
from src.trainer.subtitles import cues, to_srt, to_vtt
from src.trainer.transcript_files import check_formats, to_ctm, write_files
from src.utils.errors import UserError

SRT_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3})"
VTT_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"


def seconds(parts):
    hours, minutes, whole, milliseconds = map(int, parts)
    return hours * 3600 + minutes * 60 + whole + milliseconds / 1000


def parse_srt(text):
    """Blocks of a counter, a line of times and lines of text, parted by empty lines."""
    found = []
    for number, block in enumerate(filter(None, text.strip("\n").split("\n\n")), start=1):
        counter, times, *lines = block.split("\n")
        assert counter == str(number)
        match = re.fullmatch(f"{SRT_TIME} --> {SRT_TIME}", times)
        assert match, times
        assert lines and all(lines)
        found.append((seconds(match.groups()[:4]), seconds(match.groups()[4:]), lines))
    return found


def parse_vtt(text):
    """Section 4 of the W3C recommendation: signature, then cues without identifiers."""
    signature, *blocks = text.strip("\n").split("\n\n")
    assert signature == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.split("\n")
        match = re.fullmatch(f"{VTT_TIME} --> {VTT_TIME}", times)
        assert match, times
        assert lines and all(lines)
        for line in lines:
            assert "-->" not in line and "<" not in line
            assert not re.search(r"&(?!(amp|lt|gt);)", line)
        found.append(
            (seconds(match[i] for i in range(1, 5)), seconds(match[i] for i in range(5, 9)),
             [html.unescape(line) for line in lines])
        )  # fmt: skip
    return found


def speech(seed, count=300):
    draw = random.Random(seed)
    words, now = [], 3590.0 if seed % 2 else 0.0
    for _ in range(count):
        now += draw.choice([0.0, 0.05, 0.2, 0.6, 1.5, 40.0])
        end = now + draw.choice([0.0, 0.04, 0.3, 0.9, 9.0])
        text = "".join(draw.choices("abcdefgh'&<>", k=draw.randint(1, 14)))
        words.append(Word(text, round(now, 3), round(end, 3), draw.random()))
        now = end
    return words


@pytest.mark.parametrize("seed", range(6))
def test_subtitles_have_all_words_in_readable_cues(seed):
    words = speech(seed)
    for render, parse in ((to_srt, parse_srt), (to_vtt, parse_vtt)):
        parsed = parse(render(words))
        assert " ".join(" ".join(lines) for *_, lines in parsed) == " ".join(
            word.text for word in words
        )
        for (start, end, lines), (next_start, *_) in zip(parsed, [*parsed[1:], (1e9,)]):
            assert start < end <= start + 7.0005
            assert end <= next_start + 0.0015, "a cue is over when the next begins"
            assert len(" ".join(lines)) <= 84
            assert len(lines) <= 2
        starts = {word.start for word in words}
        assert all(any(abs(start - s) < 1e-6 for s in starts) for start, *_ in parsed)


def test_a_cue_ends_where_the_speaker_pauses():
    """Sentences of four words with 0.7 s between them: cues never part a sentence."""
    words = [
        Word(f"w{n}", (n // 4) * 2.3 + (n % 4) * 0.4, (n // 4) * 2.3 + (n % 4) * 0.4 + 0.35, 1.0)
        for n in range(64)
    ]
    for _, _, text in cues(words):
        numbers = [int(word[1:]) for word in text.split()]
        assert numbers[0] % 4 == 0 and numbers[-1] % 4 == 3


def test_silence_has_valid_empty_files():
    assert parse_srt(to_srt([])) == []
    assert parse_vtt(to_vtt([])) == []
    assert to_ctm([], "x") == ""


def test_ctm_is_what_sclite_reads():
    """NIST: file, channel, start, duration, word and confidence, parted by white space."""
    words = speech(0)
    lines = to_ctm(words, "a b/été 1").splitlines()
    assert len(lines) == len(words)
    starts = []
    for line, word in zip(lines, words):
        match = re.fullmatch(r"(\S+) (\S+) (\d+\.\d+) (\d+\.\d+) (\S+) ([01]\.\d+)", line)
        assert match, line
        assert (match[1], match[2], match[5]) == ("a_b/été_1", "1", word.text)
        assert float(match[3]) + float(match[4]) == pytest.approx(word.end, abs=2e-3)
        assert float(match[6]) == pytest.approx(word.confidence, abs=1e-4)
        starts.append(float(match[3]))
    assert starts == sorted(starts), "sclite wants them in order of time"


def test_a_name_that_the_disk_refuses_loses_no_other_file(tmp_path, caplog):
    """a.wav beside a folder a.txt that holds b.wav."""
    record = {"text": "a", "words": [{"text": "a", "start": 0, "end": 1, "confidence": 1.0}]}
    for name in ("a.txt/b", "a", "n" * 260, "c"):
        write_files({**record, "utterance_id": name}, tmp_path, ["srt"])
    assert sorted(p.name for p in (tmp_path / "srt").rglob("*.srt")) == ["a.srt", "b.srt", "c.srt"]
    assert (tmp_path / "text/a.txt/b.txt").read_text() == "a\n"
    assert caplog.text.count("cannot be written") == 3


def test_unknown_formats_are_named():
    with pytest.raises(UserError, match="formats=doc is unknown; choose from srt, vtt, ctm"):
        check_formats(["srt", "doc"])
