"""`text_encoder=phoneme_ctc_text_encoder` as a person uses it: trained, then decoded with words."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_sounds_are_learnt_and_the_language_model_spells_them(run_command, recordings, tmp_path):
    done = run_command(
        *("train.py", "-cn=onebatchtest", "text_encoder=phoneme_ctc_text_encoder"),
        *(f"save_dir={tmp_path}", "run_name=phonemes", "model.n_layers=3", "model.d_model=96"),
    )
    assert done.returncode == 0, done.stderr
    assert "argmax WER 0.00%" in done.stderr

    texts = sorted((recordings / "transcriptions").glob("*.txt"))
    lm = tmp_path / "lm.arpa"
    command = [sys.executable, "scripts/train_lm.py", *map(str, texts), "--order", "3", "-o", lm]
    subprocess.run(command, cwd=ROOT, check=True)
    done = run_command(
        "inference.py",
        f"datasets.test.audio_dir={recordings / 'audio'}",
        f"datasets.test.transcription_dir={recordings / 'transcriptions'}",
        f"inferencer.from_pretrained={tmp_path / 'phonemes'}",
        f"inferencer.save_dir={tmp_path / 'out'}",
        *("metrics=beam_lm_closed", f"lm={lm}"),
    )
    assert done.returncode == 0, done.stderr
    scored = json.loads((tmp_path / "out/summary.json").read_text())["test"]
    assert scored["beam_search_closed"]["wer"] == scored["argmax"]["wer"] == 0.0
    for line in (tmp_path / "out/test/transcripts.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["text"].isascii()
        assert [word["text"] for word in record["words"]] == record["text"].split()
