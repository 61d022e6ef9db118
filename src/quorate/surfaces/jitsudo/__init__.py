"""JITSudo's API. See SOURCES.md."""
