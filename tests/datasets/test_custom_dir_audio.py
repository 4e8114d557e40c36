from __future__ import annotations

import logging
import unicodedata

import numpy as np
import pytest
import soundfile

from src.datasets.custom_dir_audio import CustomDirAudioDataset
from src.utils.errors import UserError

from .conftest import write_tone


def texts_by_id(dataset) -> dict[str, str | None]:
    return {row["utterance_id"]: row["text"] for row in dataset.index}


def test_nested_folders_all_formats_any_rate_any_channels(tmp_path):
    write_tone(tmp_path / "b.WAV", seconds=0.5, rate=44100, channels=2)
    write_tone(tmp_path / "a b/été.flac", seconds=0.6, rate=8000)
    write_tone(tmp_path / "a b/c/東京.mp3", seconds=0.7)
    write_tone(tmp_path / "z.Ogg", seconds=0.8)
    write_tone(tmp_path / "z/y.opus", seconds=0.9, rate=48000, channels=2)
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / "folder.wav").mkdir()
    dataset = CustomDirAudioDataset(str(tmp_path))
    assert list(texts_by_id(dataset)) == ["a b/c/東京", "a b/été", "b", "z", "z/y"]
    assert dataset.failures == []
    assert dataset.durations == pytest.approx([0.7, 0.6, 0.5, 0.8, 0.9], abs=0.1)
    for item in dataset:
        assert item["text"] is None
        assert len(item["audio"]) == pytest.approx(item["duration"] * 16000, abs=1)


def test_a_single_file(tmp_path):
    write_tone(tmp_path / "one.wav")
    write_tone(tmp_path / "two.wav")
    dataset = CustomDirAudioDataset(str(tmp_path / "one.wav"))
    assert list(texts_by_id(dataset)) == ["one"]


def test_a_list_of_files_in_its_order(tmp_path):
    """From its own folder, wherever one stands; names that are used for outputs stay inside."""
    write_tone(tmp_path / "lists/b.wav")
    write_tone(tmp_path / "a b/é.flac")
    listed = tmp_path / "lists" / "mine.LST"
    listed.write_text(
        f"\ufeff# two of them\n\n ../a b/é.flac \n{tmp_path}/lists/b.wav\nb.wav\n", "utf-8"
    )
    dataset = CustomDirAudioDataset(str(listed))
    assert list(texts_by_id(dataset)) == ["a b/é", "lists/b"]
    assert len(dataset[0]["audio"]) == 8000


def test_what_a_list_names_and_is_not_there_is_a_failure_in_its_place(tmp_path):
    write_tone(tmp_path / "b.wav")
    (tmp_path / "folder").mkdir()
    listed = tmp_path / "list.txt"
    listed.write_text("a.wav\nb.wav\nfolder\nx\0.wav\n" + "n" * 300 + ".wav\n")
    dataset = CustomDirAudioDataset(str(listed))
    assert [row["utterance_id"] for row in dataset.index] == ["b"]
    assert [failure["position"] for failure in dataset.failures] == [0, 2, 3, 4]
    assert "a.wav does not exist" in dataset.failures[0]["error"]
    assert "folder is no file" in dataset.failures[1]["error"]
    listed.write_text("\n# nothing\n")
    with pytest.raises(UserError, match=r"list\.txt lists no recordings"):
        CustomDirAudioDataset(str(listed))


def test_links_to_nothing_and_to_themselves_are_failures(tmp_path):
    write_tone(tmp_path / "good.wav")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "notes").symlink_to(tmp_path / "nowhere")
    dataset = CustomDirAudioDataset(str(tmp_path))
    assert list(texts_by_id(dataset)) == ["good"]
    assert [failure["utterance_id"] for failure in dataset.failures] == ["dangling", "loop"]
    assert [failure["position"] for failure in dataset.failures] == [0, 2]


def test_same_stem_twice_keeps_the_extension(tmp_path):
    for name in ("a.wav", "a.flac", "b.wav", "sub/a.wav"):
        write_tone(tmp_path / name)
    assert list(texts_by_id(CustomDirAudioDataset(str(tmp_path)))) == [
        "a.flac", "a.wav", "b", "sub/a"
    ]  # fmt: skip


def test_transcripts_match_by_place_and_else_by_a_name_that_is_unique(tmp_path, caplog):
    audio, transcripts = tmp_path / "audio", tmp_path / "transcripts"
    for name in ("x/a.wav", "y/a.wav", "y/b.wav", "c.wav", "p/d.wav", "q/d.wav", "e.wav"):
        write_tone(audio / name)
    for name, text in {
        "x/a.txt": "Its place",
        "y/a.TXT": "\ufeffIts place, too!",
        "elsewhere/b.txt": "Unique",
        "1/c.txt": "one of two",
        "2/c.txt": "two of two",
        "d.txt": "whose?",
    }.items():
        (transcripts / name).parent.mkdir(parents=True, exist_ok=True)
        (transcripts / name).write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        dataset = CustomDirAudioDataset(str(audio), str(transcripts))
    assert texts_by_id(dataset) == {
        "c": None,
        "e": None,
        "p/d": None,
        "q/d": None,
        "x/a": "its place",
        "y/a": "its place too",
        "y/b": "unique",
    }
    assert "4 of 7 recordings have no transcript" in caplog.text


def test_composed_and_decomposed_names_are_one(tmp_path):
    write_tone(tmp_path / (unicodedata.normalize("NFC", "été") + ".wav"))
    (tmp_path / (unicodedata.normalize("NFD", "été") + ".txt")).write_text("summer")
    dataset = CustomDirAudioDataset(str(tmp_path), str(tmp_path))
    assert dataset.texts == ["summer"]


def test_unreadable_recordings_are_listed_and_the_rest_is_kept(tmp_path, caplog):
    write_tone(tmp_path / "good.wav")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "words.mp3").write_text("words")
    with caplog.at_level(logging.WARNING):
        dataset = CustomDirAudioDataset(str(tmp_path))
    assert list(texts_by_id(dataset)) == ["good"]
    assert [failure["path"] for failure in dataset.failures] == [
        str(tmp_path / "empty.wav"),
        str(tmp_path / "words.mp3"),
    ]
    for failure in dataset.failures:
        assert failure["path"] in failure["error"]
    assert "2 of 3 recordings cannot be read" in caplog.text


def test_damage_behind_an_intact_header_is_the_users_error_when_read(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 32000)
    soundfile.write(tmp_path / "cut.flac", noise, 16000)
    content = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    dataset = CustomDirAudioDataset(str(tmp_path))
    assert dataset.failures == []
    for position, words in enumerate(["cut.flac cannot be read", "nan.wav has NaN"]):
        with pytest.raises(UserError, match=words):
            dataset[position]


def test_what_the_user_can_mend(tmp_path):
    def expect(words, *arguments):
        with pytest.raises(UserError, match=words):
            CustomDirAudioDataset(*map(str, arguments))

    audio, transcripts = tmp_path / "audio", tmp_path / "transcripts"
    expect("audio does not exist", audio)
    audio.mkdir()
    expect("has no recordings", audio)
    (audio / "a.wav").touch()
    expect("no readable recording: 1 failed", audio)
    write_tone(audio / "a.wav")
    expect("transcripts does not exist", audio, transcripts)
    transcripts.mkdir()
    expect(r"such as a\.txt", audio, transcripts)
    (transcripts / "other.txt").write_text("other")
    expect(r"such as a\.txt", audio, transcripts)
    (transcripts / "a.txt").write_bytes(b"caf\xe9")
    expect("not UTF-8", audio, transcripts)


def test_real_recordings_in_one_flat_folder(shared_data, tmp_path):
    files = sorted((shared_data / "LibriSpeech" / "test-clean").rglob("*.opus"))[::131]
    audio = tmp_path / "audio"
    audio.mkdir()
    for path in files:
        (audio / path.name).symlink_to(path)
    dataset = CustomDirAudioDataset(str(audio))
    assert [row["utterance_id"] for row in dataset.index] == [path.stem for path in files]
    assert dataset.failures == []
