"""`python -m manyhands`, and the command `manyhands`."""

from manyhands.cli import main

if __name__ == "__main__":
    main()
