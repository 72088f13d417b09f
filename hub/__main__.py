"""The command `hub`, and `python -m hub`."""

import signal


def main() -> None:
    """The console script."""
    # Loading takes a second, in which there is nothing to be stopped: Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from hub.cli.main import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
