"""`python -m manyhands`, and the command `manyhands`."""


def main() -> None:
    raise SystemExit("not yet")
