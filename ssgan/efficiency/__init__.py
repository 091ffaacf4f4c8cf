"""Label efficiency: what the error is at each label budget, how sure that is, and what more labels would bring."""

from ssgan.efficiency.page import page
from ssgan.efficiency.plain import as_plain
from ssgan.efficiency.report import pictures, write, write_report
from ssgan.efficiency.results import Result, of_folder, of_stored
from ssgan.efficiency.table import Comparison, Row, Series, compare
from ssgan.efficiency.text import markdown

__all__ = ["Comparison", "Result", "Row", "Series", "as_plain", "compare", "markdown", "of_folder", "of_stored", "page", "pictures", "write", "write_report"]
