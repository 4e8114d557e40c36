"""Writers of metrics, pictures and sounds behind one interface, and the log."""

from src.logger.base_writer import BaseWriter
from src.logger.cometml_writer import CometMLWriter
from src.logger.csv_writer import CSVWriter
from src.logger.logging_setup import setup_logging
from src.logger.multi_writer import MultiWriter
from src.logger.plots import spectrogram_image
from src.logger.tensorboard_writer import TensorBoardWriter

__all__ = [
    "BaseWriter",
    "CSVWriter",
    "CometMLWriter",
    "MultiWriter",
    "TensorBoardWriter",
    "setup_logging",
    "spectrogram_image",
]
