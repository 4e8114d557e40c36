from __future__ import annotations

import json
import logging
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from src.datasets import CustomDirAudioDataset
from src.decoding import ArgmaxDecoder
from src.metrics import RecognitionMetrics
from src.trainer import Inferencer, Transcriber
from src.trainer.pretrained import load_pretrained
from src.utils.errors import UserError
from tests.trainer.ranks import on_ranks

ROOT = Path(__file__).parents[2]


def write_noise(path, seconds, seed=0, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, max(1, round(seconds * rate)))
    soundfile.write(path, samples, rate)


@pytest.fixture
def folder(tmp_path):
    """Short and long, in an order that is not that of their durations."""
    folder = tmp_path / "in"
    for number, seconds in enumerate([0.4, 7.3, 1.5, 0.01, 2.0, 6.1]):
        write_noise(folder / f"u{number}.wav", seconds, seed=number)
    return folder


def inferencer(checkpoint, out, decoders=("argmax",), **options):
    pretrained = load_pretrained(checkpoint)
    decoder = ArgmaxDecoder(pretrained.text_encoder, pretrained.frame_seconds)
    metrics = RecognitionMetrics(dict.fromkeys(decoders, decoder))
    options = {"num_workers": 0, "window_seconds": 4.0, "overlap_seconds": 1.6, **options}
    return Inferencer(pretrained, metrics, out, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_alike(records, expected):
    """The same but for rounding, which depends on what else is in a batch."""
    close = ("score", "confidence")
    for record, other in zip(records, expected, strict=True):
        assert {k: v for k, v in record.items() if k not in (*close, "words")} == {
            k: v for k, v in other.items() if k not in (*close, "words")
        }
        assert [record[name] for name in close] == pytest.approx(
            [other[name] for name in close], abs=1e-3
        )
        for word, same in zip(record["words"], other["words"], strict=True):
            assert word == {**same, "confidence": pytest.approx(same["confidence"], abs=1e-3)}


def transcribed_ids(inferencer, monkeypatch):
    """The ids that the inferencer hears from now on."""
    heard = []
    records = inferencer._records

    def spy(best, batch):
        heard.extend(batch["utterance_id"])
        return records(best, batch)

    monkeypatch.setattr(inferencer, "_records", spy)
    return heard


def test_what_is_written_is_what_the_library_returns(untrained, folder, tmp_path):
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "u3.txt").write_text("a a")
    dataset = CustomDirAudioDataset(str(folder), str(folder))
    made = inferencer(untrained, tmp_path / "out", formats=["srt", "ctm"])
    summary, failures = made.transcribe("test", dataset)
    records = lines(tmp_path / "out/test/transcripts.jsonl")
    assert [Path(record["path"]).name for record in records] == sorted(
        path.name for path in folder.glob("*.wav")
    )
    assert [Path(failure["path"]).name for failure in failures] == ["broken.wav"]
    assert records[0]["utterance_id"] == "broken" and "error" in records[0]
    transcriber = Transcriber.from_pretrained(
        untrained, window_seconds=4.0, overlap_seconds=1.6, device="cpu"
    )
    for record in records[1:]:
        said = transcriber(record["path"])
        assert record["text"] == said.text
        assert record["score"] == pytest.approx(said.score, rel=1e-3, abs=1e-3)
        assert record["confidence"] == pytest.approx(said.confidence, abs=1e-3)
        assert record["duration"] == pytest.approx(said.duration, abs=1e-3)
        assert [word["text"] for word in record["words"]] == [word.text for word in said.words]
        name = record["utterance_id"]
        assert (tmp_path / f"out/test/text/{name}.txt").read_text() == said.text + "\n"
        assert (tmp_path / f"out/test/srt/{name}.srt").exists()
        assert (tmp_path / f"out/test/ctm/{name}.ctm").read_text().count("\n") == len(said.words)
    assert {r["utterance_id"]: r["reference"] for r in records if "reference" in r} == {"u3": "a a"}
    figures = summary["recordings"]
    assert (figures["transcribed"], figures["failed"], figures["done_before"]) == (6, 1, 0)
    seconds = [0.4, 7.3, 1.5, 0.01, 2.0, 6.1]
    assert figures["audio_seconds"] == pytest.approx(sum(seconds), abs=0.01)
    assert figures["real_time_factor"] == pytest.approx(
        figures["seconds"] / figures["audio_seconds"], rel=1e-2
    )
    assert summary["argmax"]["utterances"] == 1
    assert {"wer", "wer_interval", "cer", "cer_interval", "insertions"} <= summary["argmax"].keys()
    assert json.loads((tmp_path / "out/summary.json").read_text())["test"] == summary


def test_a_second_call_does_what_is_left(untrained, folder, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    out = tmp_path / "out"

    def call(**options):
        made = inferencer(untrained, out, **options)
        heard = transcribed_ids(made, monkeypatch)
        summary, _ = made.transcribe("test", CustomDirAudioDataset(str(folder)))
        return sorted(heard), summary["recordings"]

    everything = [f"u{n}" for n in range(6)]
    assert call()[0] == everything
    before = (out / "test/transcripts.jsonl").read_bytes()
    heard, figures = call(formats=["vtt"])
    assert (heard, figures["done_before"], figures["real_time_factor"]) == ([], 6, None)
    assert (out / "test/transcripts.jsonl").read_bytes() == before
    assert len(list((out / "test/vtt").glob("*.vtt"))) == 6, "also of what was done before"

    # one more file, one that has changed: both are heard, the changed one's old text is kept
    write_noise(folder / "u0b.wav", 0.5)
    write_noise(folder / "u2.wav", 0.8, seed=9)
    assert call()[0] == ["u0b", "u2"]
    assert "goes on with 5 of them" in caplog.text
    assert (out / "test.1/transcripts.jsonl").read_bytes() == before
    assert [r["utterance_id"] for r in lines(out / "test/transcripts.jsonl")] == sorted(
        [*everything, "u0b"]
    )
    assert len(list((out / "test/text").glob("*.txt"))) == 7

    # torn in the middle of a line, as by a power cut
    content = (out / "test/transcripts.jsonl").read_bytes()
    (out / "test/transcripts.jsonl").write_bytes(content[: content.index(b"\n", 400) + 90])
    kept = {json.loads(line)["utterance_id"] for line in content[:600].splitlines()[:-1]}
    heard, _ = call()
    assert set(heard).isdisjoint(kept) and heard
    assert [r["text"] for r in lines(out / "test/transcripts.jsonl")] == [
        json.loads(line)["text"] for line in content.splitlines()
    ]

    # another window is another recogniser; and so is what the user asks for
    assert len(call(window_seconds=5.0)[0]) == 7
    assert "transcripts of another window; all are now in" in caplog.text
    assert len(call(window_seconds=5.0, resume=False)[0]) == 7
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "test", "test.1", "test.2", "test.3"
    }  # fmt: skip


def test_every_decoders_words_outlive_a_second_call(untrained, folder, tmp_path):
    for name in ("u0", "u1"):
        (folder / f"{name}.txt").write_text("a b")
    summaries = []
    for _ in range(2):
        made = inferencer(untrained, tmp_path / "out", decoders=("one", "two"))
        summary, _ = made.transcribe("test", CustomDirAudioDataset(str(folder), str(folder)))
        summaries.append({name: summary[name]["wer"] for name in ("one", "two")})
    assert summaries[0] == summaries[1]
    record = lines(tmp_path / "out/test/transcripts.jsonl")[0]
    assert record["others"]["two"]["text"] == record["text"]


def test_a_killed_process_has_lost_nothing_that_it_wrote(untrained, tmp_path, monkeypatch, capfd):
    """SIGKILL in the middle; the next call goes on and ends with what one has that is left be."""
    folder = tmp_path / "in"
    for number in range(60):
        write_noise(folder / f"u{number:02}.wav", 0.2 + 0.01 * number, seed=number)
    write_noise(folder / "long.wav", 9)
    command = [
        *("inference.py", f"datasets.test.audio_dir={folder}", "device=cpu"),
        *(f"inferencer.from_pretrained={untrained}", f"inferencer.save_dir={tmp_path / 'out'}"),
        *("inferencer.max_batch_seconds=0.5", "inferencer.num_workers=0"),
        *("inferencer.window_seconds=4", "inferencer.overlap_seconds=1.6"),
    ]
    journal = tmp_path / "out/test/transcripts.jsonl"
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    written = lines(journal)
    assert 5 <= len(written) < 61
    for record in written:
        text = tmp_path / "out/test/text" / f"{record['utterance_id']}.txt"
        assert text.read_text() == record["text"] + "\n"

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", command)
    capfd.readouterr()
    runpy.run_path("inference.py", run_name="__main__")
    printed, said = capfd.readouterr()
    assert f"{len(written)} of 61 are done already" in said
    assert f"61 transcribed, 0 failed, {len(written)} of them before" in printed
    records = lines(journal)
    made = inferencer(untrained, tmp_path / "whole", max_batch_seconds=0.5)
    made.transcribe("test", CustomDirAudioDataset(str(folder)))
    assert_alike(records, lines(tmp_path / "whole/test/transcripts.jsonl"))
    assert [record["utterance_id"] for record in records] == [
        "long", *(f"u{n:02}" for n in range(60))
    ]  # fmt: skip


def on_one_of_two(checkpoint, folder, out):
    inferencer(checkpoint, out).transcribe("test", CustomDirAudioDataset(str(folder)))


def test_two_processes_go_on_from_what_one_and_three_have_written(untrained, folder, tmp_path):
    """Long recordings are shared too; a killed rank's journal is read like the first's."""
    on_one_of_two(untrained, folder, tmp_path / "one")
    whole = (tmp_path / "one/test/transcripts.jsonl").read_bytes().splitlines(keepends=True)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    first, second, _, _, third, _ = whole
    (tmp_path / "two/test/transcripts.jsonl").write_bytes(first)
    (tmp_path / "two/test/transcripts.1.jsonl").write_bytes(second[:-20])
    (tmp_path / "two/test/transcripts.2.jsonl").write_bytes(third)
    on_ranks(2, on_one_of_two, untrained, folder, tmp_path / "two")
    assert_alike(lines(tmp_path / "two/test/transcripts.jsonl"), list(map(json.loads, whole)))
    summary = json.loads((tmp_path / "two/summary.json").read_text())["test"]["recordings"]
    assert (summary["transcribed"], summary["done_before"]) == (6, 2)
    assert not list((tmp_path / "two/test").glob("transcripts.*.jsonl"))


def test_a_folder_that_cannot_be_written_is_named(untrained, folder, tmp_path):
    (tmp_path / "file").write_text("")
    made = inferencer(untrained, tmp_path / "file")
    with pytest.raises(UserError, match="file/test cannot be written"):
        made.transcribe("test", CustomDirAudioDataset(str(folder)))


def test_a_list_of_files_with_one_missing(untrained, tmp_path):
    write_noise(tmp_path / "a b/ü.wav", 0.3)
    write_noise(tmp_path / "c.flac", 0.4)
    listed = tmp_path / "list.txt"
    listed.write_text("# mine\nc.flac\n\ngone.wav\na b/ü.wav\nc.flac\n", encoding="utf-8")
    made = inferencer(untrained, tmp_path / "out")
    _, failures = made.transcribe("test", CustomDirAudioDataset(str(listed)))
    records = lines(tmp_path / "out/test/transcripts.jsonl")
    assert [record["utterance_id"] for record in records] == ["c", "gone", "a b/ü"]
    assert len(failures) == 1
    assert "gone.wav does not exist" in failures[0]["error"]
    assert (tmp_path / "out/test/text/a b/ü.txt").exists()


@torch.inference_mode()
def test_names_that_are_no_utf8(untrained, tmp_path):
    folder = tmp_path / "in"
    write_noise(folder / "x.wav", 0.3)
    try:
        os.rename(folder / "x.wav", os.fsencode(folder) + b"/\xff.wav")  # noqa: PTH104
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (folder / os.fsdecode(b"\xff.txt")).write_text("a")
    made = inferencer(untrained, tmp_path / "out")
    made.transcribe("test", CustomDirAudioDataset(str(folder), str(folder)))
    [record] = lines(tmp_path / "out/test/transcripts.jsonl")
    assert os.fsencode(record["path"]).endswith(b"/\xff.wav")
