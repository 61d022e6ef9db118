"""Signing in by what an identity provider says (OpenID Connect): see docs/signing-in.md and decision 29.

A provider says who somebody is. What they may do is read from the directory, as for everybody.
"""
