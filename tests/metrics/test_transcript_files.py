"""The same transcripts out of each format, and one clear sentence for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.metrics.transcript_files import read_transcripts
from src.utils.errors import UserError

TEXTS = {"a-1": "the cat (sat)", "a-2": "", "b/c": "it's café"}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def as_folder(root: Path) -> Path:
    for name, text in TEXTS.items():
        write(root / "texts" / f"{name}.txt", text + "\n")
    write(root / "texts" / "notes.md", "no transcript")
    return root / "texts"


def as_trans_txt(root: Path) -> Path:
    for name, text in TEXTS.items():
        write(root / "speech" / f"{name}.trans.txt", f"{name} {text}\n")
    return root / "speech"


def as_trn(root: Path) -> Path:
    lines = [f"{text} ({name})\n" for name, text in TEXTS.items()]
    return write(root / "x.trn", ";; a comment\n\n" + "".join(lines))


def as_kaldi(root: Path) -> Path:
    lines = [f"{name} {text}".strip() + "\n" for name, text in TEXTS.items()]
    return write(root / "text", "\ufeff" + "".join(lines))


def as_jsonl(root: Path, **more: str) -> Path:
    rows = [{"id": name, "text": text, **more} for name, text in TEXTS.items()]
    return write(root / "x.jsonl", "\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize("form", [as_folder, as_trans_txt, as_trn, as_kaldi, as_jsonl])
@pytest.mark.parametrize("role", ["reference", "hypothesis"])
def test_every_form_gives_the_same(tmp_path, form, role):
    found = read_transcripts(form(tmp_path), role)
    assert {name: record["text"].strip() for name, record in found.items()} == TEXTS


def test_ctm_is_grouped_by_recording_and_ordered_by_time(tmp_path):
    lines = [
        *(";; recording channel start seconds word confidence", "r1 A 1.5 0.25 cat 0.5"),
        *("r1 A 0.5 0.5 the 0.75", "r2 A 0 1 left", "r2 B 0 1 right NA"),
    ]
    found = read_transcripts(write(tmp_path / "x.ctm", "\n".join(lines)), "hypothesis")
    assert {name: record["text"] for name, record in found.items()} == {
        "r1": "the cat",
        "r2_A": "left",
        "r2_B": "right",
    }
    assert found["r1"]["words"] == [
        {"text": "the", "start": 0.5, "end": 1.0, "confidence": 0.75},
        {"text": "cat", "start": 1.5, "end": 1.75, "confidence": 0.5},
    ]
    assert "confidence" not in found["r2_B"]["words"][0]


def test_one_line_may_have_both_what_was_said_and_what_was_heard(tmp_path):
    rows = [
        {"audio_filepath": "/data/a.wav", "text": "said", "pred_text": "heard"},  # NeMo
        {"id": "b", "reference": "said", "prediction": "heard"},
        {"utterance_id": "c", "reference": "said", "text": "heard", "score": -1.0},  # inference.py
    ]
    path = write(tmp_path / "x.jsonl", "\n".join(map(json.dumps, rows)))
    for role, text in {"reference": "said", "hypothesis": "heard"}.items():
        found = read_transcripts(path, role)
        assert {name: record["text"] for name, record in found.items()} == dict.fromkeys(
            "abc", text
        )


def test_a_folder_of_inference_has_hypotheses_and_what_references_there_were(tmp_path):
    rows = [
        {"utterance_id": "a", "text": "heard", "score": -1.0, "reference": "said"},
        {"utterance_id": "b", "text": "heard", "score": -1.0},
        {"path": "c.wav", "error": "cut short"},
    ]
    write(tmp_path / "test" / "transcripts.jsonl", "\n".join(map(json.dumps, rows)))
    write(tmp_path / "test" / "text" / "a.txt", "heard")
    assert list(read_transcripts(tmp_path / "test", "hypothesis")) == ["a", "b"]
    assert list(read_transcripts(tmp_path / "test", "reference")) == ["a"]
    assert read_transcripts(tmp_path / "test", "hypothesis")["a"]["score"] == -1.0


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("x.trn", "the cat (a)\nthe cat\n", "line 2, does not end in (utterance-id)"),
        ("x.trn", "the cat ()\n", "does not end in (utterance-id)"),
        ("x.trn", "the cat (a)\nno (a)\n", "line 2, has a a second time"),
        ("x.trn", "the { cat / hat } (a)\n", "line 1, has alternatives { a / b }"),
        ("text", "a the\na cat\n", "line 2, has a a second time"),
        ("x.ctm", "r1 A 0.5 the\n", "line 1, is not `recording channel start seconds word"),
        ("x.ctm", "r1 A now 0.5 the\n", "is not `recording channel"),
        ("x.jsonl", "{]\n", "line 1, is not a JSON object"),
        ("x.jsonl", '{"text": "a"}', "has none of the keys utterance_id, id"),
        ("x.jsonl", '{"id": "a", "txt": "a"}', "has none of the keys pred_text, prediction, text"),
        ("text", "\n", "has no transcript in it"),
        ("folder/readme.md", "", "has no .txt file and no transcripts.jsonl"),
        ("folder/test/transcripts.jsonl", "", "name one of its folders, such as"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, name, text, sentence):
    path = write(tmp_path / name, text)
    with pytest.raises(UserError) as error:
        read_transcripts(tmp_path / "folder" if "folder" in name else path, "hypothesis")
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_what_is_missing_or_not_text_is_said(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_transcripts(tmp_path / "gone", "reference")
    (tmp_path / "text").write_bytes(b"a \xff\n")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_transcripts(tmp_path / "text", "reference")
