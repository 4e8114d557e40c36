from src.loss.consistency import ConsistencyCTCLoss
from src.loss.ctc import CTCLoss

__all__ = ["CTCLoss", "ConsistencyCTCLoss"]
