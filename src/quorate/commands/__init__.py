"""The operator's command line: start, fill, look after. It stands beside `wiring` and may use everything."""
