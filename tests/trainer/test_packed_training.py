"""A training does not notice that its recordings were packed, except that it waits less."""

from __future__ import annotations

import pytest
import soundfile
import torch
from omegaconf import open_dict

from src.datasets.librispeech_index import librispeech_index, part_fingerprint
from src.datasets.packed_writer import Source, write_pack
from src.trainer.base_trainer import BaseTrainer
from src.trainer.build import build_trainer
from src.trainer.run_folder import open_run_folder
from src.utils.random_state import seed_everything


@pytest.fixture
def part(tones, tmp_path):
    """The tones as 16-bit FLAC in LibriSpeech's layout, and their pack in shards of 5 s."""
    folder = tmp_path / "LibriSpeech" / "tones" / "1" / "1"
    folder.mkdir(parents=True)
    for path in sorted((tones / "audio").glob("*.wav")):
        pcm, rate = soundfile.read(path, dtype="int16")
        soundfile.write(folder / f"{path.stem}.flac", pcm, rate)
        with (folder / "1-1.trans.txt").open("a") as file:
            file.write(f"{path.stem} {(tones / 'texts' / f'{path.stem}.txt').read_text()}\n")
    part = tmp_path / "LibriSpeech" / "tones"
    source = Source(part, librispeech_index(part), part_fingerprint(part))
    write_pack(source, part.with_name("tones.packed"), workers=0, shard_hours=5 / 3600)
    return part


def test_a_run_that_changes_form_midway_gives_the_same_weights(
    compose_tiny, part, tmp_path, monkeypatch
):
    def start(packed: bool, *overrides: str, run_name: str):
        config = compose_tiny(
            *("dataloader.num_workers=1", "trainer.save_every=3", *overrides), run_name=run_name
        )
        split = {
            "_target_": "src.datasets.LibriSpeechDataset",
            "part": "tones",
            "root": str(part.parent),
            "packed": packed,
        }
        with open_dict(config):
            config.datasets = {"train": split, "val": split}
        run_dir = open_run_folder(config)
        seed_everything(config.seed)
        return build_trainer(config, run_dir)

    whole = start(False, run_name="flac")
    whole.train()
    stopped = start(True, run_name="changed")
    with monkeypatch.context() as patch:
        patch.setattr(BaseTrainer, "_should_stop", lambda self: self.step >= 6)
        stopped.train()
    checkpoint = tmp_path / "changed" / "checkpoints" / "step_6"
    resumed = start(False, f"trainer.resume_from={checkpoint}", run_name="changed")
    assert resumed.step == 6
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
