"""Hypotheses and references in, error rates with intervals out."""

from src.metrics.bootstrap import bootstrap_interval
from src.metrics.error_rate import ErrorCounts, character_errors, word_errors
from src.metrics.metric_tracker import MetricTracker
from src.metrics.recognition_metrics import RecognitionMetrics
from src.metrics.report import format_table
from src.metrics.summary_file import update_summary
from src.metrics.table_file import write_table

__all__ = [
    "ErrorCounts",
    "MetricTracker",
    "RecognitionMetrics",
    "bootstrap_interval",
    "character_errors",
    "format_table",
    "update_summary",
    "word_errors",
    "write_table",
]
