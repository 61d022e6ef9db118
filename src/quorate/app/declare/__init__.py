"""The declarative file: what a tenant shall be, read, planned, applied and written back. See docs/apply.md.

text → reading → schema → File        with line numbers for everything that is wrong
File + what is there → plan           pure: the changes, in words and as rows
plan → apply                          one transaction per tenant
"""

from quorate.app.declare.apply import CannotApply, FileRequest, Order, apply, dry_run
from quorate.app.declare.export import export
from quorate.app.declare.report import Report
from quorate.app.declare.schema import File, Problems, parse
from quorate.app.declare.wanted import RequestToFile

__all__ = [
    "CannotApply",
    "File",
    "FileRequest",
    "Order",
    "Problems",
    "Report",
    "RequestToFile",
    "apply",
    "dry_run",
    "export",
    "parse",
]
