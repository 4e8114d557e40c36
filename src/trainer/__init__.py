"""Training and inference loops around everything else."""

from src.trainer.base_trainer import BaseTrainer
from src.trainer.inferencer import Inferencer
from src.trainer.trainer import Trainer

__all__ = ["BaseTrainer", "Inferencer", "Trainer"]
