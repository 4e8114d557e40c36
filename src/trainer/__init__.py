"""Training and inference loops around everything else."""

from src.trainer.base_trainer import BaseTrainer
from src.trainer.inferencer import Inferencer
from src.trainer.trainer import Trainer
from src.trainer.transcriber import Transcriber

__all__ = ["BaseTrainer", "Inferencer", "Trainer", "Transcriber"]
