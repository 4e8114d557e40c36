"""A training does not notice that its recordings were packed, except that it waits less."""

from __future__ import annotations

import shutil

import pytest
import soundfile
import torch

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


def test_weights_are_the_same_and_a_run_may_change_form_midway(
    compose_tiny, part, tmp_path, monkeypatch
):
    def start(packed: bool, *overrides: str, run_name: str):
        split = (
            "{_target_: src.datasets.LibriSpeechDataset, part: tones, "
            f"root: {part.parent}, packed: {packed}}}"
        )
        config = compose_tiny(
            f"datasets={{train: {split}, val: {split}}}",
            *("dataloader.num_workers=2", "trainer.save_every=3", *overrides),
            run_name=run_name,
        )
        run_dir = open_run_folder(config)
        seed_everything(config.seed)
        return build_trainer(config, run_dir)

    whole = start(False, run_name="flac")
    whole.train()
    stopped = start(False, run_name="changed")
    with monkeypatch.context() as patch:
        patch.setattr(BaseTrainer, "_should_stop", lambda self: self.step >= 9)
        stopped.train()
    shutil.rmtree(part)  # from here on there is nothing but the pack
    checkpoint = tmp_path / "changed" / "checkpoints" / "step_9"
    resumed = start(True, f"trainer.resume_from={checkpoint}", run_name="changed")
    resumed.train()
    packed = start(True, run_name="packed")
    packed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(packed.model.state_dict()[name], value), name
        assert torch.equal(resumed.model.state_dict()[name], value), name
