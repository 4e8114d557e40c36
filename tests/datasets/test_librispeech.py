from __future__ import annotations

import json
import logging
import os
import shutil

import pytest

from src.datasets import librispeech_index
from src.datasets.librispeech import LibriSpeechDataset
from src.utils.audio import audio_duration
from src.utils.errors import UserError

from .conftest import CHAPTERS, write_part, write_tone


def load(root, part="tiny", **options) -> LibriSpeechDataset:
    return LibriSpeechDataset(part, str(root), download=False, **options)


@pytest.fixture
def built(monkeypatch) -> list:
    """One entry for each index that is built rather than loaded."""
    calls: list = []
    build = librispeech_index._build_index

    def counted(*arguments):
        calls.append(arguments)
        return build(*arguments)

    monkeypatch.setattr(librispeech_index, "_build_index", counted)
    return calls


def test_rows_are_those_of_the_transcripts_in_any_format(librispeech_root):
    dataset = load(librispeech_root)
    expected = [
        {
            "utterance_id": utterance_id,
            "path": str(librispeech_root / "tiny" / chapter / f"{utterance_id}{extension}"),
            "text": text.lower(),
            "speaker": utterance_id.split("-")[0],
        }
        for chapter, utterances in CHAPTERS.items()
        for utterance_id, extension, _, text in utterances
    ]
    assert [{**row, "duration": 0} for row in dataset.index] == [
        {**row, "duration": 0} for row in expected
    ]
    assert dataset.durations == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5], abs=0.1)
    for item in dataset:
        assert len(item["audio"]) == round(item["duration"] * 16000)


def test_second_time_comes_from_the_cache_and_is_the_same(librispeech_root, built):
    first = load(librispeech_root)
    second = load(librispeech_root)
    assert len(built) == 1
    assert second.index == first.index


def changes():
    def remove(part):
        (part / "19/198/19-198-0000.flac").unlink()

    def add(part):
        write_tone(part / "19/198/19-198-0003.wav")
        with (part / "19/198/19-198.trans.txt").open("a") as file:
            file.write("19-198-0003 ADDED\n")

    def edit(part):
        transcript = part / "26/495/26-495.trans.txt"
        before = transcript.stat()
        transcript.write_text(transcript.read_text().replace("KNOW", "GROW"))
        os.utime(transcript, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))

    def replace(part):
        write_tone(part / "19/198/19-198-0001.wav", seconds=3.0)

    return [remove, add, edit, replace]


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.__name__)
def test_a_changed_folder_is_noticed(librispeech_root, built, change):
    before = load(librispeech_root)
    change(librispeech_root / "tiny")
    after = load(librispeech_root)
    assert len(built) == 2
    assert after.index != before.index
    shutil.rmtree(librispeech_root / "cache", ignore_errors=True)
    (librispeech_root / "tiny.index.jsonl").unlink()
    assert load(librispeech_root).index == after.index


@pytest.mark.parametrize("keep", [0, 1, 100, -10], ids=["empty", "a byte", "some", "all but 10"])
def test_a_cut_off_cache_is_built_again(librispeech_root, built, keep):
    whole = load(librispeech_root)
    cache = librispeech_root / "tiny.index.jsonl"
    content = cache.read_bytes()
    cache.write_bytes(content[:keep])
    assert load(librispeech_root).index == whole.index
    assert len(built) == 2
    assert cache.read_bytes() == content


def test_a_cache_that_lost_whole_lines_is_built_again(librispeech_root, built):
    whole = load(librispeech_root)
    cache = librispeech_root / "tiny.index.jsonl"
    cache.write_text("".join(cache.read_text().splitlines(keepends=True)[:-2]))
    assert load(librispeech_root).index == whole.index
    assert len(built) == 2


def test_moved_data_keeps_its_index(librispeech_root, built, tmp_path):
    load(librispeech_root)
    moved = tmp_path / "elsewhere"
    librispeech_root.rename(moved)
    dataset = load(moved)
    assert len(built) == 1
    assert dataset.index[0]["path"].startswith(str(moved))
    assert len(dataset[0]["audio"]) == 8000


def test_read_only_root_is_left_alone(librispeech_root, built, user_cache):
    librispeech_root.chmod(0o555)
    try:
        first = load(librispeech_root)
        second = load(librispeech_root)
        assert [path.name for path in librispeech_root.iterdir()] == ["tiny"]
    finally:
        librispeech_root.chmod(0o755)
    assert second.index == first.index
    assert len(built) == 1
    assert len(list((user_cache / "asr").rglob("tiny-*.index.jsonl"))) == 1


def test_one_cache_dir_serves_several_roots(librispeech_root, built, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(librispeech_root, other)
    (other / "tiny/19/198/19-198-0000.flac").unlink()
    cache = str(tmp_path / "cache")
    for _ in range(2):
        assert len(load(librispeech_root, cache_dir=cache)) == 5
        assert len(load(other, cache_dir=cache)) == 4
    assert len(built) == 2
    assert [path.name for path in librispeech_root.iterdir()] == ["tiny"]


def test_a_cache_that_cannot_be_written_is_only_a_warning(librispeech_root, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert len(load(librispeech_root, cache_dir=str(tmp_path / "file" / "below"))) == 5
    assert "index not cached" in caplog.text


def test_what_is_missing_or_corrupt_is_counted_each_time(librispeech_root, caplog):
    part = librispeech_root / "tiny"
    (part / "19/198/19-198-0000.flac").unlink()
    write_tone(part / "26/495/26-495-0009.wav")
    (part / "26/495/26-495-0001.opus").write_bytes(b"noise")
    (part / "19/198/19-198-0001.wav").write_bytes(b"")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            dataset = load(librispeech_root)
        assert [row["utterance_id"] for row in dataset.index] == ["19-198-0002", "26-495-0000"]
        messages = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
        assert messages == [
            "1 transcripts (19-198-0000) without a recording, left out",
            "1 recordings (26-495-0009) without a transcript, left out",
            "2 recordings (19/198/19-198-0001.wav, 26/495/26-495-0001.opus) cannot be read, "
            "left out",
        ]


def test_an_id_that_occurs_twice_is_the_users_error(librispeech_root):
    part = librispeech_root / "tiny"
    extra = part / "26/495/19-198-0000.wav"
    write_tone(extra)
    with pytest.raises(UserError, match="19-198-0000 has two recordings"):
        load(librispeech_root)
    extra.unlink()
    (part / "copy.trans.txt").write_text("19-198-0000 AGAIN\n")
    with pytest.raises(UserError, match=r"19-198-0000 has two transcripts.*copy\.trans\.txt"):
        load(librispeech_root)


@pytest.mark.parametrize("part", ["tiny+more", ["tiny", "more"]])
def test_parts_are_joined(librispeech_root, part):
    write_tone(librispeech_root / "more/7/8/7-8-0000.wav", seconds=0.7)
    (librispeech_root / "more/7/8/7-8.trans.txt").write_text("7-8-0000 MORE\n")
    dataset = load(librispeech_root, part)
    assert dataset.texts == [*load(librispeech_root).texts, "more"]
    assert dataset.name == "LibriSpeech tiny+more"


def test_parts_that_overlap_are_the_users_error(librispeech_root):
    write_part(librispeech_root / "same")
    with pytest.raises(UserError, match="do not overlap"):
        load(librispeech_root, "tiny+same")
    with pytest.raises(UserError, match="do not overlap"):
        load(librispeech_root, "tiny+tiny")


def test_train_960_is_the_three_training_parts(tmp_path):
    parts = ("train-clean-100", "train-clean-360", "train-other-500")
    for number, name in enumerate(parts):
        chapter = tmp_path / name / str(number) / "1"
        write_tone(chapter / f"{number}-1-0000.wav")
        (chapter / f"{number}-1.trans.txt").write_text(f"{number}-1-0000 {'ABC'[number]}\n")
    assert load(tmp_path, "train-960").texts == ["a", "b", "c"]


def test_options_of_the_base_apply(librispeech_root):
    dataset = load(librispeech_root, min_duration=0.9, limit=2, sample_rate=8000)
    assert [row["utterance_id"] for row in dataset.index] == ["19-198-0001", "19-198-0002"]
    assert len(dataset[0]["audio"]) == 8000


def test_an_unknown_part_lists_those_there_are(librispeech_root, tmp_path):
    with pytest.raises(UserError, match=r"no official LibriSpeech part.*has: tiny\."):
        load(librispeech_root, "tinny")
    with pytest.raises(UserError, match="has: nothing"):
        load(tmp_path / "nowhere", "tiny")
    with pytest.raises(UserError, match="download=true"):
        load(librispeech_root, "test-clean")


def test_a_folder_that_is_no_part_is_the_users_error(librispeech_root):
    (librispeech_root / "empty").mkdir()
    with pytest.raises(UserError, match="no transcripts"):
        load(librispeech_root, "empty")
    (librispeech_root / "empty/1-1.trans.txt").write_text("1-1-0000 A\n")
    with pytest.raises(UserError, match="no usable utterance: 1 transcripts"):
        load(librispeech_root, "empty")
    (librispeech_root / "empty/1-1.trans.txt").write_bytes(b"1-1-0000 CAF\xc9\n")
    with pytest.raises(UserError, match="not UTF-8"):
        load(librispeech_root, "empty")


@pytest.mark.parametrize(
    ("part", "utterances", "hours", "speakers"),
    [("test-clean", 2620, 5.40, 40), ("train-clean-5", 1519, 5.31, 28),
     ("dev-clean-part", 1145, 2.43, 18)],
)  # fmt: skip
def test_real_parts_have_their_published_size(
    shared_data, tmp_path, part, utterances, hours, speakers
):
    root = shared_data / "LibriSpeech"
    before = sorted(path.name for path in root.iterdir())
    dataset = load(root, part, cache_dir=str(tmp_path))
    assert len(dataset) == utterances
    assert sum(dataset.durations) / 3600 == pytest.approx(hours, abs=0.005)
    assert len({row["speaker"] for row in dataset.index}) == speakers
    assert load(root, part, cache_dir=str(tmp_path)).index == dataset.index
    assert sorted(path.name for path in root.iterdir()) == before

    words = sum(
        len(line.split()) - 1
        for path in (root / part).rglob("*.trans.txt")
        for line in path.read_text().splitlines()
    )
    assert sum(len(text.split()) for text in dataset.texts) == words
    row = dataset.index[len(dataset) // 2]
    assert row["duration"] == audio_duration(row["path"])


def test_cached_rows_hold_no_absolute_path(librispeech_root):
    load(librispeech_root)
    lines = (librispeech_root / "tiny.index.jsonl").read_text().splitlines()
    paths = [json.loads(line)["path"] for line in lines[1:]]
    assert paths[0] == "19/198/19-198-0000.flac"
    assert not any(str(librispeech_root) in line for line in lines)
