"""Hypotheses and references in, error rates with intervals out."""

from src.metrics.bootstrap import bootstrap_interval
from src.metrics.error_rate import ErrorCounts, character_errors, word_errors
from src.metrics.metric_tracker import MetricTracker
from src.metrics.paired_bootstrap import PairedDifference, paired_bootstrap
from src.metrics.rates import error_rates, interval_of
from src.metrics.recognition_metrics import RecognitionMetrics
from src.metrics.report import format_table
from src.metrics.summary_file import update_summary
from src.metrics.table_file import write_table
from src.metrics.word_alignment import AlignedWord, align_words

__all__ = [
    "AlignedWord",
    "ErrorCounts",
    "MetricTracker",
    "PairedDifference",
    "RecognitionMetrics",
    "align_words",
    "bootstrap_interval",
    "character_errors",
    "error_rates",
    "format_table",
    "interval_of",
    "paired_bootstrap",
    "update_summary",
    "word_errors",
    "write_table",
]
