"""What is measured, and the long forms of tests that are bounded elsewhere."""
