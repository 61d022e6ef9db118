"""`python -m quorate`, and the installed command `quorate`."""


def main() -> int:
    from quorate import __version__

    print(f"quorate {__version__}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
