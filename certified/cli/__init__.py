"""The command line: train, delete, certify, verify. Start with ``certified --help`` or ``certified demo``."""

from certified.cli.app import app


def main() -> None:
    """Run the command line on ``sys.argv``; exit status 0 done, 1 a verification failed, 2 the call was wrong."""
    app(prog_name="certified")
