"""Transcripts in, a page for a browser out."""

from src.report.write_report import write_report

__all__ = ["write_report"]
