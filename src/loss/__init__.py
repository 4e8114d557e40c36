from src.loss.ctc import CTCLoss

__all__ = ["CTCLoss"]
