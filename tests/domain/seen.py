"""What the explorer and the random walks saw, for the closing lines of a test run."""

SEEN: list[str] = []
