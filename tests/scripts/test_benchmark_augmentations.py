"""The benchmark on a few seconds of noise: what it writes, and that its clock is right."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

CONFIGS = Path(__file__).parents[2] / "configs" / "augmentation"
NAMES = {path.stem for path in CONFIGS.glob("*.yaml")} - {"none"}
CHAINS = {"transforms=spec", "transforms=wave", "transforms=full"}


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("benchmark_augmentations")


@pytest.fixture
def recordings(tmp_path) -> Path:
    """Of 0.2, 0.4 ... 1.4 s, in two folders, and noise and rooms beside them."""
    generator = np.random.default_rng(0)
    for number in range(1, 8):
        path = tmp_path / "speech" / str(number % 2) / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, generator.uniform(-0.5, 0.5, 3200 * number), 16000)
    for name in ("noise", "rooms"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", generator.uniform(-0.5, 0.5, 1600), 16000)
    return tmp_path / "speech"


def results_of(script, run_main, recordings, *options):
    out = recordings.parent / "new" / "out.json"
    arguments = (recordings, "--json", out, "--seconds", 2.4, "--rounds", 1, "--epochs", 2)
    code, printed, complaint = run_main(script, *arguments, "--device", "cpu", *options)
    assert code == 0, complaint
    return json.loads(out.read_text()), printed


def test_a_row_for_each_augmentation_and_chain(script, run_main, recordings):
    folders = ("--noise-dir", recordings.with_name("noise"), "--rir-dir")
    written, printed = results_of(
        script, run_main, recordings, *folders, recordings.with_name("rooms")
    )
    rows = {(row["kind"], row["name"]): row for row in written["results"]}
    everything = "transforms=full + reverberation + background_noise"
    assert rows.keys() == {
        ("step", "training step"),
        ("features", "log_mel"),
        *(("augmentation", name) for name in NAMES),
        *(("chain", name) for name in (*CHAINS, everything)),
    }
    step = rows["step", "training step"]
    assert step["step_percent"] == 100
    for row in rows.values():
        assert row["ms_per_audio_second"] > 0
        share = 100 * row["ms_per_audio_second"] / step["ms_per_audio_second"]
        assert row["step_percent"] == pytest.approx(share, abs=0.01)
    settings = written["settings"]
    # three of the seven: those about the median of 0.8 s
    assert settings["recordings"] == 3
    assert settings["audio_seconds"] == pytest.approx(0.6 + 0.8 + 1.0)
    assert settings["padded_seconds"] == pytest.approx(3 * 1.0)
    assert settings["left_out"] == {}
    percent = rows["chain", everything]["step_percent"]
    assert f"{everything} slows a training step by {percent:.1f}%" in printed


def test_what_needs_a_folder_is_left_out_without_one(script, run_main, recordings):
    written, printed = results_of(
        script, run_main, recordings, "--noise-dir", recordings.with_name("noise")
    )
    assert "reverberation is left out: include with --rir-dir DIR" in printed
    assert written["settings"]["left_out"] == {"reverberation": "rir_dir"}
    names = {row["name"] for row in written["results"] if row["kind"] == "chain"}
    assert names == {*CHAINS, "transforms=full + background_noise"}
    names = {row["name"] for row in written["results"] if row["kind"] == "augmentation"}
    assert names == NAMES - {"reverberation"}


def test_the_clock_takes_means_of_epochs_and_medians_of_rounds(script):
    """Sleeps of 0 and 20 ms in two epochs, longer in the first round and in one of the others."""
    rounds = []

    def sleep(epoch):
        if epoch == 0:
            rounds.append(len(rounds))
        time.sleep(0.02 * epoch + (0.1 if rounds[-1] in (0, 2) else 0))

    steps = []
    passes = {("chain", "sleep"): sleep, ("step", "training step"): steps.append}
    taken = script.in_turns(passes, rounds=3, epochs=2, device=torch.device("cpu"))
    assert 10 <= taken["chain", "sleep"] < 80
    assert steps == [0] * 4  # once a round


def test_a_chain_does_what_the_transforms_do(script):
    """Its augmentations with the draws of the pipeline, on audio and on features."""
    heard = {}

    class Spy(torch.nn.Module):
        def forward(self, x, length, draws):
            heard[x.ndim] = (x.shape, length.tolist(), draws.host_uniform().tolist())
            return x

    batch = {
        "audio": torch.zeros(2, 800),
        "audio_length": torch.tensor([800, 400]),
        "features": torch.zeros(2, 6, 80),
        "feature_length": torch.tensor([6, 3]),
        "utterance_id": ["a", "b"],
    }
    script.augment({"first": Spy()}, {"second": Spy()}, batch, 3)
    draws = script.Draws.of(0, 3, ["a", "b"])
    assert heard[2] == ((2, 800), [800, 400], draws.fork("first").host_uniform().tolist())
    assert heard[3] == ((2, 6, 80), [6, 3], draws.fork("second").host_uniform().tolist())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is not a folder"),
        (["noise", "--rir-dir", "nowhere"], "nowhere is not a folder"),
        (["noise", "--seconds", "0"], "must be positive"),
        (["noise", "--model", "conformer_huge"], "invalid choice: 'conformer_huge'"),
        (["noise", "--device", "nowhere"], "device=nowhere cannot be used here"),
    ],
)
def test_mistakes_end_in_one_sentence(
    script, run_main, recordings, arguments, sentence, monkeypatch
):
    monkeypatch.chdir(recordings.parent)
    code, _, complaint = run_main(script, *arguments, "--json", "out.json")
    assert code == 2
    assert sentence in complaint.strip().splitlines()[-1]
