"""The command line as ``python -m certified``."""

from certified.cli import main

if __name__ == "__main__":
    main()
