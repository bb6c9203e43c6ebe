"""Fixtures of the lab for every room of the tests."""

import signal

pytest_plugins = ["lab.plugin"]

# a shell starts what runs in its background with Ctrl-C ignored, and so would every program that a test interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
