"""What a user can cause is one clear sentence: no traceback, exit code not 0, nothing lost."""

import json

import pytest
import soundfile

TRAIN = ("train.py", "-cn=onebatchtest")
INFERENCE = ("inference.py", "inferencer.from_pretrained=/no/run")
MISSING_PART = ("datasets=onebatch_librispeech", "data_dir=/no/where", "datasets.train.part=x")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ((*TRAIN, *MISSING_PART), "/no/where"),
        ((*TRAIN, "trainer.epocs=3"), "trainer.epocs"),
        ((*TRAIN, "model=conformer_huge"), "conformer_huge"),
        ((*TRAIN, "+model.heads=3"), "heads"),
        ((*TRAIN, "model.n_heads=5"), "n_heads 5"),
        ((*TRAIN, "trainer.resume_from=/no/run"), "no checkpoint in /no/run"),
        (("inference.py",), "audio_dir and inferencer.from_pretrained must be given: "),
        ((*INFERENCE, "datasets.test.audio_dir=/no/dir"), "no checkpoint in /no/run"),
    ],
)  # fmt: skip
def test_one_sentence(run_here, tmp_path, command, says):
    script, *arguments = command
    extra = [f"save_dir={tmp_path}"] if script == "train.py" else []
    done = run_here(script, *arguments, *extra)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert says in done.stderr


@pytest.mark.parametrize("problem", ["missing", "empty"])
def test_a_folder_without_recordings_is_named(trained, run_command, run_here, tmp_path, problem):
    folder = tmp_path / "recordings"
    if problem == "empty":
        folder.mkdir()
    run = run_command if problem == "missing" else run_here
    done = run(
        "inference.py",
        f"datasets.test.audio_dir={folder}",
        f"inferencer.from_pretrained={trained[0]}",
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert str(folder) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_to_transcribe_must_be_given(trained, run_here):
    done = run_here("inference.py", f"inferencer.from_pretrained={trained[0]}")
    assert done.returncode == 2
    assert "error: datasets.test.audio_dir must be given" in done.stderr


def test_a_checkpoint_of_another_architecture_is_refused(trained, run_command, tmp_path):
    config = (trained[0] / "config.yaml").read_text()
    done = run_command(*TRAIN, "model.d_model=72", f"trainer.resume_from={trained[0]}")
    assert done.returncode == 2
    assert (trained[0] / "config.yaml").read_text() == config, "the run is as it was"
    assert "another architecture" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("fault", ["corrupt audio", "empty transcript"])
def test_a_bad_training_file_is_named_or_counted(run_command, tmp_path, fault):
    """In training a file that cannot be read stops the run: a corpus should be whole."""
    manifest = []
    for n in range(4):
        path = tmp_path / f"u{n}.wav"
        soundfile.write(path, [0.1] * 16000, 16000)
        manifest.append({"audio_filepath": path.name, "duration": 1.0, "text": "a word"})
    if fault == "corrupt audio":
        (tmp_path / "u1.wav").write_bytes(b"RIFF but not really")
    else:
        manifest[1]["text"] = " - "
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in manifest))
    split = f"{{_target_: src.datasets.ManifestDataset, path: {tmp_path / 'm.jsonl'}}}"
    done = run_command(
        *TRAIN,
        "~datasets",
        f"+datasets={{train: {split}, val: {split}}}",
        *("trainer.epochs=1", "trainer.epoch_len=1", "dataloader.num_workers=1"),
        f"save_dir={tmp_path / 'saved'}",
    )
    assert "Traceback" not in done.stderr
    if fault == "corrupt audio":
        assert done.returncode == 2
        assert "u1.wav" in done.stderr.splitlines()[-1]
    else:
        assert done.returncode == 0, done.stderr
        assert "dropped 1 of 4 utterances" in done.stderr
        assert "empty transcript" in done.stderr
