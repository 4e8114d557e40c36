"""`metrics=beam` and `metrics=beam_lm` as a person uses them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def lm(recordings, tmp_path_factory):
    """A 3-gram of the recordings' own sentences."""
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    texts = sorted((recordings / "transcriptions").glob("*.txt"))
    command = [sys.executable, "scripts/train_lm.py", *map(str, texts), "--order", "3", "-o", path]
    subprocess.run(command, cwd=ROOT, check=True)
    return path


def transcribe(run, trained, recordings, out, *options):
    return run(
        "inference.py",
        f"datasets.test.audio_dir={recordings / 'audio'}",
        f"datasets.test.transcription_dir={recordings / 'transcriptions'}",
        f"inferencer.from_pretrained={trained[0]}",
        f"inferencer.save_dir={out}",
        *options,
    )


def test_every_decoder_is_scored_on_the_same_recordings(
    trained, recordings, lm, run_command, tmp_path
):
    done = transcribe(run_command, trained, recordings, tmp_path, "metrics=beam_lm", f"lm={lm}")
    assert done.returncode == 0, done.stderr
    scored = json.loads((tmp_path / "summary.json").read_text())["test"]
    assert list(scored) == ["pyctcdecode_lm", "beam_search_lm", "argmax", "recordings"]
    assert scored.pop("recordings")["transcribed"] == 8
    for name, rates in scored.items():
        assert (rates["utterances"], rates["wer"]) == (8, 0.0), name
        assert name in done.stdout
    for line in (tmp_path / "test/transcripts.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert [word["text"] for word in record["words"]] == record["text"].split()
        assert 0 <= record["words"][0]["start"] < record["words"][-1]["end"] <= record["duration"]


def test_hotwords_are_named_on_the_command_line(trained, recordings, run_command, tmp_path):
    """A bonus of 60 puts a word that nobody said into the transcripts."""
    options = "metrics=beam", "metrics.beam_search.hotwords={zz: 60}"
    done = transcribe(run_command, trained, recordings, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "test/transcripts.jsonl").read_text().splitlines()[0])
    assert "zz" in first["text"].split()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["metrics=beam_lm", "lm=/no/lm.arpa"], "lm=/no/lm.arpa is neither a file nor"),
        (["metrics=beam_lm", "lm={cut}"], "cut.arpa"),
        (["metrics=beam", "metrics.beam_search.beam_size=0"], "beam_size is 0"),
        (["metrics=beam", "+metrics.beam_search.alpha=0.5"], "lm is not given"),
    ],
)
def test_one_sentence(trained, recordings, lm, run_here, tmp_path, options, says):
    cut = tmp_path / "cut.arpa"
    cut.write_bytes(lm.read_bytes()[:-200])
    options = [option.replace("{cut}", str(cut)) for option in options]
    done = transcribe(run_here, trained, recordings, tmp_path / "out", *options)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert says in done.stderr
    assert not (tmp_path / "out").exists()
