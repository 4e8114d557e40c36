"""Transcribe recordings with a run folder's recogniser.

python inference.py datasets.test.audio_dir=DIR inferencer.from_pretrained=saved/RUN
python inference.py datasets.test.audio_dir=DIR datasets.test.transcription_dir=TEXTS \
    inferencer.from_pretrained=saved/RUN                    # and score the transcripts
python inference.py datasets=librispeech_test inferencer.from_pretrained=saved/RUN
python inference.py datasets.test.audio_dir=list.txt 'inferencer.formats=[srt,vtt,ctm]' ...
python inference.py inferencer.backend=onnx ...             # see scripts/export_onnx.py
torchrun --nproc-per-node=4 inference.py ...                # shared by four processes

Called again after it was stopped, it goes on where it stopped; inferencer.resume=false does not.
Model, text encoder and features come from the run folder. The exit code is 3 if some
recordings could not be read; the others are transcribed all the same.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from src.logger import setup_logging
from src.metrics import format_table
from src.trainer import Inferencer
from src.trainer.backends import load_recognizer
from src.trainer.build import build_datasets, build_metrics
from src.trainer.config_checks import check_inference
from src.trainer.decoder_settings import known_by
from src.trainer.distributed import is_main, on_main, process_group
from src.utils.config_errors import refuse_bad_overrides
from src.utils.entry_point import entry_point

EXIT_SOME_FAILED = 3


@refuse_bad_overrides
@hydra.main(version_base=None, config_path="configs", config_name="inference")
@entry_point
def main(config: DictConfig) -> int:
    with process_group(config.device):
        on_main(check_inference, config)
        setup_logging(is_main=is_main())
        settings = dict(config.inferencer)
        path, backend = settings.pop("from_pretrained"), settings.pop("backend")
        pretrained = load_recognizer(path, backend, config.device)
        metrics = build_metrics(config.metrics, pretrained.text_encoder, pretrained.frame_seconds)
        inferencer = Inferencer(pretrained, metrics, decoders=known_by(config), **settings)
        rate = pretrained.transforms.log_mel.sample_rate

        summaries, failures = {}, []
        for split, dataset in build_datasets(config, sample_rate=rate).items():
            summaries[split], failed = inferencer.transcribe(split, dataset)
            failures += failed
        if is_main():
            print(format_table(summaries))
            for failure in failures:
                print(f"failed: {failure['error']}".encode(errors="replace").decode())
    return EXIT_SOME_FAILED if failures else 0


if __name__ == "__main__":
    main()
