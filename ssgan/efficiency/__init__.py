"""Label efficiency: what the error is at each label budget, how sure that is, and what more labels would bring."""

from ssgan.efficiency.report import write_report
from ssgan.efficiency.results import Result, of_folder, of_stored
from ssgan.efficiency.table import Comparison, Row, Series, compare

__all__ = ["Comparison", "Result", "Row", "Series", "compare", "of_folder", "of_stored", "write_report"]
