"""Label efficiency: what the error is at each label budget, how sure that is, and what more labels would bring."""

from ssgan.experiments.report.as_json import as_plain
from ssgan.experiments.report.html import page
from ssgan.experiments.report.report_files import pictures, score_pictures, write, write_report
from ssgan.experiments.report.results import Result, of_folder, of_stored
from ssgan.experiments.report.table import Comparison, Row, Series, compare
from ssgan.experiments.report.text import markdown

__all__ = ["Comparison", "Result", "Row", "Series", "as_plain", "compare", "markdown", "of_folder", "of_stored", "page",
           "pictures", "score_pictures", "write", "write_report"]
