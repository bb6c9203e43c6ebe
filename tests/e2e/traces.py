"""What a host looks like, for comparing before with after: files, packages, accounts, units."""

from __future__ import annotations

import re

from lab.hosts import Host

# what any server changes by itself, or what installing and removing any package changes in Debian's own books
OWN_LIFE = re.compile(
    r"^/(proc|sys|dev|run|tmp|var/log|var/cache|var/tmp|var/lib/apt|var/lib/systemd|var/lib/dpkg|var/lib/rpm|var/lib/dnf|var/backups|srv/lab)(/|$)"
    r"|^/root/\.(cache|ansible)(/|$)"
    r"|^/etc/(ld\.so\.cache|mtab|resolv\.conf|passwd-|group-|shadow-|gshadow-|subuid-|subgid-|\.pwd\.lock)$"
    r"|^/var/lib/(private|polkit-1|dbus|ucf|pam)(/|$)"
    r"|__pycache__"
)


def look(host: Host) -> frozenset[str]:
    """One line a fact; two looks at an unchanged host are equal."""
    return frozenset((*_files(host), *_packages(host), *_accounts(host), *_units(host)))


def _files(host: Host) -> list[str]:
    return [
        f"file {path} {entry.kind} {entry.mode:o} {entry.owner} {entry.content if entry.kind != 'dir' else ''}"
        for path, entry in host.files().items()
        if not OWN_LIFE.search(path)
    ]


PACKAGES = (
    "if command -v rpm >/dev/null; then rpm -qa; "
    "else dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'; fi"
)


def _packages(host: Host) -> list[str]:
    shown = host.run(["sh", "-c", PACKAGES]).stdout
    return [f"package {line.strip()}" for line in shown.splitlines()]


def _accounts(host: Host) -> list[str]:
    return [f"account {line}" for line in host.run(["getent", "passwd"]).stdout.splitlines()]


def _units(host: Host) -> list[str]:
    """Not the scopes of logins, which come and go with who looks."""
    shown = host.run(["systemctl", "list-unit-files", "--no-legend", "--no-pager"]).stdout
    units = (line.split()[:2] for line in shown.splitlines())
    return [f"unit {' '.join(unit)}" for unit in units if not unit[0].endswith(".scope")]
