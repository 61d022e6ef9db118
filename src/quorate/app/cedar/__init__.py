"""Policies in Cedar: written and checked, compiled and kept, asked. Source of the language: the `cedarpy` engine."""
