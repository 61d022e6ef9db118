"""Loops that run beside the server: they bring time to the app and messages to the world."""
