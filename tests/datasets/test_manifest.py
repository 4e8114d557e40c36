from __future__ import annotations

import json

import pytest

from src.datasets.manifest import ManifestDataset
from src.utils.audio import audio_duration
from src.utils.errors import UserError

from .conftest import write_tone


@pytest.fixture
def corpus(tmp_path):
    write_tone(tmp_path / "clips/a.wav", seconds=0.5)
    write_tone(tmp_path / "clips/b.flac", seconds=0.75)
    return tmp_path


def manifest(corpus, *entries) -> str:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    (corpus / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(corpus / "train.jsonl")


def test_rows_follow_the_manifest(corpus):
    write_tone(corpus / "absolute.wav", seconds=0.25)
    path = manifest(
        corpus,
        {"audio_filepath": "clips/b.flac", "text": "Hello, B!", "speaker": 7, "id": "bee"},
        "",
        {"audio_filepath": "clips/a.wav", "duration": 9, "text": None},
        {"audio_filepath": str(corpus / "absolute.wav"), "utterance_id": "abs"},
    )
    dataset = ManifestDataset(path)
    assert dataset.index == [
        {"utterance_id": "bee", "path": str(corpus / "clips/b.flac"), "text": "hello b",
         "duration": 0.75, "speaker": "7"},
        {"utterance_id": "clips/a", "path": str(corpus / "clips/a.wav"), "text": None,
         "duration": 9.0, "speaker": ""},
        {"utterance_id": "abs", "path": str(corpus / "absolute.wav"), "text": None,
         "duration": 0.25, "speaker": ""},
    ]  # fmt: skip
    assert len(dataset[0]["audio"]) == 12000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "is not JSON"),
        ('{"audio_filepath": "caf\xe9', "is not JSON"),
        ('["clips/a.wav"]', "not a JSON object"),
        ({"text": "a"}, "no audio_filepath"),
        ({"audio_filepath": 3}, "no audio_filepath"),
        ({"audio_filepath": "clips/c.wav"}, r"clips/c\.wav does not exist"),
        ({"audio_filepath": "clips/a.wav", "text": 3}, "text 3 is not a string"),
        ({"audio_filepath": "clips/a.wav", "duration": "1"}, "duration '1'"),
        ({"audio_filepath": "clips/a.wav", "duration": -1}, "duration -1"),
        ({"audio_filepath": "clips/a.wav", "duration": float("nan")}, "duration nan"),
        ({"audio_filepath": "clips/a.wav", "offset": 1.5}, "offset"),
        ({"audio_filepath": "clips/b.flac"}, "clips/b occurs twice"),
    ],
)
def test_a_bad_line_is_named(corpus, line, words):
    path = manifest(corpus, {"audio_filepath": "clips/b.flac"}, line)
    with pytest.raises(UserError, match=words) as caught:
        ManifestDataset(path)
    assert f"{path}:2" in str(caught.value)


def test_a_missing_or_empty_manifest_or_recording_is_the_users_error(corpus):
    with pytest.raises(UserError, match=r"absent\.jsonl does not exist"):
        ManifestDataset(str(corpus / "absent.jsonl"))
    with pytest.raises(UserError, match="is empty"):
        ManifestDataset(manifest(corpus, ""))
    (corpus / "clips/a.wav").write_bytes(b"noise")
    with pytest.raises(UserError, match=r"a\.wav cannot be read"):
        ManifestDataset(manifest(corpus, {"audio_filepath": "clips/a.wav", "text": "a"}))


def test_real_manifest(shared_data):
    dataset = ManifestDataset(str(shared_data / "extra" / "train.jsonl"))
    assert len(dataset) == 3456
    assert sum(dataset.durations) / 3600 == pytest.approx(3.20, abs=0.005)
    assert len({row["speaker"] for row in dataset.index}) == 77
    for row in dataset.index[::300]:
        assert row["duration"] == pytest.approx(audio_duration(row["path"]), abs=0.01)
