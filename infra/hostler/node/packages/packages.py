"""The package manager of this system: one of two modules with the same functions. dpkg's where both are there."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Dict, Iterable, List, Optional, Pattern

from . import dpkg, rpm


def manager() -> Optional[ModuleType]:
    return next((module for module in (dpkg, rpm) if module.is_here()), None)


def look(wanted: Iterable[str]) -> Optional[Dict[str, Any]]:
    """name -> {"version", "hold", "state": "installed"|"half"}, or None where it is not there. None as a whole:
    neither is here. Raises OSError when it cannot be seen."""
    found = manager()
    return found.look(wanted) if found else None


def listed() -> List[str]:
    """All packages that are installed, whole or half; empty where no manager is known."""
    found = manager()
    return found.listed() if found else []


def half(pattern: Pattern[str]) -> List[str]:
    """Packages with such a name in the middle of which an installation ended."""
    found = manager()
    return found.half(pattern) if found else []


def owns(path: str, pattern: Pattern[str]) -> bool:
    """Whether a package has the file; True where that cannot be known."""
    found = manager()
    return found.owns(path, pattern) if found else True


def broken(wanted: Iterable[str]) -> List[str]:
    """What must be installed anew because dnf was killed; apt puts that right itself."""
    return rpm.broken(wanted) if manager() is rpm else []


def trouble() -> str:
    """Why the package manager cannot be used now; empty when it can."""
    found = manager()
    return found.trouble() if found else ""
