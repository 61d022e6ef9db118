"""The rules. Pure: values in, events out, refusals raised; no clock, no ids, no I/O."""
