"""Test hosts: small servers with stand-in GPUs on this machine, and the outside world under its real names."""

from .hosts import Host
from .lab import Lab, setup
from .operators import Operator
from .shell import LabError, wait_for
from .spec import HostSpec

__all__ = ["Host", "HostSpec", "Lab", "LabError", "Operator", "setup", "wait_for"]
