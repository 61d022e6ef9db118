"""What is kept: SQL only, rows in and values out, no rules."""
