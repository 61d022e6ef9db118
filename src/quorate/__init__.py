"""Quorate: a self-hosted server for access requests and approvals."""

__version__ = "0.1.0"
