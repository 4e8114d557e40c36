"""The README's commands, run for real."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
LIBRISPEECH = ROOT.parent / "shared" / "data" / "LibriSpeech"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_batch_is_learnt_by_heart(trained):
    run_dir, done = trained
    assert json.loads((run_dir / "summary.json").read_text())["val"]["argmax"]["wer"] == 0.0
    assert "argmax/wer reached 0" in done.stderr
    assert "\r" not in done.stderr, "progress bars stay out of a log"
    assert str(run_dir) in done.stdout


def test_the_run_folder_is_whole(trained):
    run_dir, _ = trained
    for name in ("config.yaml", "git.txt", "log.txt", "metrics.csv", "metrics.jsonl"):
        assert (run_dir / name).stat().st_size > 0, name
    assert (run_dir / "text_encoder" / "text_encoder.json").is_file()
    for name in ("last", "best"):
        folder = run_dir / "checkpoints" / name
        assert load_file(folder / "model.safetensors")
        torch.load(folder / "training_state.pt", weights_only=True)
    assert "${" not in (run_dir / "config.yaml").read_text(), "resolved"
    rows = lines(run_dir / "metrics.jsonl")
    logged = {"loss", "lr", "grad_norm", "audio_hours_per_second", "data_wait_share"}
    assert logged <= rows[0].keys()
    for kind in ("images/*.png", "audio/*.wav", "tables/*.csv"):
        assert list(run_dir.glob(kind)), kind


def test_a_folder_is_transcribed_and_scored(trained, recordings, run_command, tmp_path):
    """From a copy of the run folder elsewhere: inference needs nothing beside it."""
    run_dir = shutil.copytree(trained[0], tmp_path / "moved")
    done = run_command(
        "inference.py",
        f"datasets.test.audio_dir={recordings / 'audio'}",
        f"datasets.test.transcription_dir={recordings / 'transcriptions'}",
        f"inferencer.from_pretrained={run_dir}",
        f"inferencer.save_dir={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stderr
    transcripts = lines(tmp_path / "out/test/transcripts.jsonl")
    assert [record["text"] for record in transcripts] == [
        path.read_text().strip() for path in sorted((recordings / "transcriptions").glob("*.txt"))
    ]
    for record in transcripts:
        text = tmp_path / "out/test/text" / f"{record['utterance_id']}.txt"
        assert text.read_text().strip() == record["text"]
        assert " ".join(word["text"] for word in record["words"]) == record["text"]
        times = [time for word in record["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert times[-1] <= record["duration"] + 0.05
    summary = json.loads((tmp_path / "out/summary.json").read_text())["test"]["argmax"]
    assert (summary["wer"], summary["utterances"]) == (0.0, 8)
    assert re.search(r"test +argmax +0\.00", done.stdout)


def test_odd_files_are_transcribed_and_broken_ones_listed(
    trained, recordings, run_command, tmp_path
):
    """Any format, rate and channel count; what cannot be read loses nothing else."""
    files = sorted((recordings / "audio").glob("*.flac"))
    folder = tmp_path / "any one's recordings"
    (folder / "nested é").mkdir(parents=True)
    audio, rate = soundfile.read(files[0], dtype="float32")
    up = np.repeat(audio, 3)
    soundfile.write(folder / "stereo 48k.wav", np.stack([up, up], axis=1), 48000)
    audio, rate = soundfile.read(files[1], dtype="float32")
    soundfile.write(folder / "nested é" / "b.ogg", audio, rate, format="OGG", subtype="OPUS")
    soundfile.write(folder / "short.wav", audio[:160], rate)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "noise.mp3").write_bytes(bytes(range(256)) * 20)
    broken = files[2].read_bytes()
    (folder / "torn.flac").write_bytes(broken[: len(broken) // 3])
    (folder / "notes.txt").write_text("not audio")
    done = run_command(
        "inference.py",
        f'datasets.test.audio_dir="{folder}"',
        f"inferencer.from_pretrained={trained[0]}",
        f"inferencer.save_dir={tmp_path / 'out'}",
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    records = {Path(r["path"]).name: r for r in lines(tmp_path / "out/test/transcripts.jsonl")}
    failed = {name for name, record in records.items() if "error" in record}
    assert failed == {"empty.wav", "noise.mp3", "torn.flac"}
    for name in failed:
        assert name in done.stdout
    references = [
        (recordings / "transcriptions" / f"{file.stem}.txt").read_text().strip() for file in files
    ]
    assert records["stereo 48k.wav"]["text"] == references[0]
    assert records["b.ogg"]["text"] == references[1]
    assert "text" in records["short.wav"]


@pytest.mark.slow
@pytest.mark.skipif(not LIBRISPEECH.is_dir(), reason="needs ../shared/data/LibriSpeech")
def test_one_batch_of_real_speech_is_learnt_by_heart(run_command, tmp_path):
    done = run_command(
        "train.py",
        "-cn=onebatchtest",
        "datasets=onebatch_librispeech",
        "datasets.train.part=dev-clean-part",
        f"data_dir={LIBRISPEECH.parent}",
        f"save_dir={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "onebatchtest/summary.json").read_text())
    assert summary["val"]["argmax"]["wer"] == 0.0


@pytest.mark.slow
def test_subwords_are_trained_once_and_travel_with_the_run(run_command, recordings, tmp_path):
    done = run_command(
        *("train.py", "-cn=onebatchtest", "text_encoder=sp_ctc_text_encoder"),
        *("text_encoder.vocab_size=40", f"text_encoder.cache_dir={tmp_path / 'cache'}"),
        f"save_dir={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    [cached] = (tmp_path / "cache").glob("*.model")
    kept = tmp_path / "onebatchtest" / "text_encoder" / "sentencepiece.model"
    assert kept.read_bytes() == cached.read_bytes()
    cached.unlink()
    done = run_command(
        "inference.py",
        f"datasets.test.audio_dir={recordings / 'audio'}",
        f"datasets.test.transcription_dir={recordings / 'transcriptions'}",
        f"inferencer.from_pretrained={tmp_path / 'onebatchtest'}",
        f"inferencer.save_dir={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "cache").iterdir()), "never retrained at inference"
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["test"]["argmax"]["wer"] == 0.0
