"""One module for each way in which a message leaves."""
