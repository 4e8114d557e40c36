"""Train a recogniser, then evaluate it.

python train.py                                             # configs/baseline.yaml
python train.py text_encoder=sp_ctc_text_encoder            # one choice changed
python train.py -cn=demo                                    # minutes on two CPU cores
python train.py -cn=onebatchtest                            # does it learn at all?
python train.py trainer.resume_from=saved/RUN               # go on after an interruption
python train.py run_name=RUN trainer.resume=auto            # go on if it has begun, else begin
torchrun --nproc-per-node=4 train.py ...                    # in four processes, on GPUs if any
python train.py -m seed=0,1,2                               # three runs: saved/sweeps/NAME/0 ...

Ctrl-C and SIGTERM (Slurm) write a checkpoint and end the process with exit code 75.

`python train.py --help` lists every choice; each is a file in configs/.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from src.logger import setup_logging
from src.metrics import format_table
from src.trainer.build import build_trainer
from src.trainer.config_checks import check_training
from src.trainer.distributed import is_main, on_main, process_group, rank
from src.trainer.run_folder import checkpoint_to_resume, open_run_folder
from src.utils.config_errors import refuse_bad_overrides
from src.utils.entry_point import entry_point
from src.utils.random_state import seed_everything


@refuse_bad_overrides
@hydra.main(version_base=None, config_path="configs", config_name="baseline")
@entry_point
def main(config: DictConfig) -> float:
    with process_group(config.device):
        on_main(check_training, config)
        config.trainer.resume_from = on_main(checkpoint_to_resume, config)
        run_dir = on_main(open_run_folder, config)
        setup_logging(run_dir / "log.txt", is_main())
        seed_everything(config.seed + rank())
        trainer = build_trainer(config, run_dir)
        try:
            trainer.train()
            summaries = trainer.test()
        finally:
            trainer.writer.close()
        if is_main():
            if summaries:
                print(format_table(summaries))
            print(f"run folder: {run_dir}")
    return trainer.best


if __name__ == "__main__":
    main()
