#!/usr/bin/python
"""All files and directories of a part of a host in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hostler_files
short_description: Files, directories and merged JSON documents, many in one task
description:
  - Writes what differs, atomically, and says which paths it changed.
  - Parents of files are not made; list them as directories.
options:
  entries:
    description: What must hold, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      state:
        description:
          - C(file) needs one of text, base64 or secret. C(directory) and C(absent) need none.
          - C(merged) puts C(values) into a JSON document that others own too; its other keys stay, and where a link
            stands in its place, what the link points to is written.
          - C(absent) removes a file or an empty directory.
        type: str
        choices: [file, directory, merged, absent]
        default: file
      text: {description: Content that may be shown., type: str}
      base64: {description: Content that is not text., type: str}
      secret:
        description: Content that is never shown or logged, in base64. Ansible masks a value of one line alone.
        type: str
      values: {description: Keys of a JSON document., type: dict}
      mode: {description: Mode in octal., type: str, default: "0644"}
      owner: {description: Name of the owner., type: str, default: root}
      group: {description: Name of the group., type: str, default: root}
      prune: {description: Remove the parent of an absent file as well when it is then empty., type: bool, default: false}
  due:
    description:
      - Path of a mark that is made before the first change of a file and stays until somebody removes it.
      - So a run that dies between a change and the reload that it needs is seen by the next one.
    type: path
author: hostler
"""

EXAMPLES = r"""
- name: Write the configuration
  hostler_files:
    due: /etc/hostler/due/edge
    entries:
      - {path: /etc/hostler/edge, state: directory, mode: "0755"}
      - {path: /etc/hostler/edge/haproxy.cfg, text: "global\n"}
"""

RETURN = r"""
paths: {description: What was changed., returned: always, type: list, elements: str}
due: {description: Whether the mark is there., returned: always, type: bool}
"""

import base64
import grp
import json
import os
import pwd
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

ENTRY = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "merged", "absent"], "default": "file"},
    "text": {"type": "str"},
    "base64": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "values": {"type": "dict"},
    "mode": {"type": "str", "default": "0644"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "prune": {"type": "bool", "default": False},
}
SPEC = {"entries": {"type": "list", "elements": "dict", "required": True, "options": ENTRY}, "due": {"type": "path"}}
MOST_SHOWN = 64 * 1024  # bytes of a text that a difference shows


class Trouble(Exception):
    """What a person is told of one entry."""


class Files:
    """The entries, one by one. With `dry`, nothing is touched."""

    def __init__(self, due, dry):
        self.due, self.dry = due, dry
        self.paths, self.diffs = [], []

    def make(self, entry):
        getattr(self, "_" + entry["state"])(entry)

    def _file(self, entry):
        content = content_of(entry)
        now = read(entry["path"])
        if now == content:
            return self._attributes(entry)
        self._note(entry, now, content)
        if not self.dry:
            write(entry["path"], content, int(entry["mode"], 8), ids(entry))
        return None

    def _merged(self, entry):
        path = behind(entry["path"])
        now = read(path)
        document = parsed(entry["path"], now)
        wanted = merge(document, entry["values"] or {})
        if wanted == document and now is not None:
            return
        content = (json.dumps(wanted, indent=4) + "\n").encode()
        self._note(entry, now, content)
        if not self.dry:
            write(path, content, *kept(entry, now))

    def _directory(self, entry):
        path = entry["path"]
        if os.path.isdir(path):
            self._attributes(entry)
            return
        if os.path.lexists(path):
            raise Trouble("%s: expected a directory; got something else" % path)
        self._note(entry, None, b"")
        if not self.dry:
            os.makedirs(path)
            os.chown(path, *ids(entry))
            os.chmod(path, int(entry["mode"], 8))

    def _absent(self, entry):
        path = entry["path"]
        if not os.path.lexists(path):
            return
        self._note(entry, some_of(path) if os.path.isfile(path) else b"", None)
        if self.dry:
            return
        remove(path)
        parent = os.path.dirname(path)
        if entry["prune"] and not os.listdir(parent):
            os.rmdir(parent)

    def _attributes(self, entry):
        """Mode and owner of what is there already."""
        found = os.stat(entry["path"])
        mode, owner = int(entry["mode"], 8), ids(entry, missing=self.dry)
        if stat.S_IMODE(found.st_mode) == mode and (found.st_uid, found.st_gid) == owner:
            return
        self.paths.append(entry["path"])
        before = "%04o %d:%d\n" % (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        after = "%04o %d:%d\n" % ((mode,) + owner)
        self.diffs.append({"before_header": entry["path"], "before": before, "after_header": entry["path"], "after": after})
        if not self.dry:
            os.chown(entry["path"], *owner)
            os.chmod(entry["path"], mode)

    def _note(self, entry, before, after):
        path = entry["path"]
        if self.due and not self.dry and entry["state"] != "directory" and path != self.due:
            mark(self.due)
        self.paths.append(path)
        hidden = bool(entry["secret"])
        shown = {"before_header": path, "after_header": path, "before": show(before, hidden), "after": show(after, hidden)}
        self.diffs.append(shown)


def content_of(entry):
    given = [key for key in ("text", "base64", "secret") if entry[key] is not None]
    if len(given) != 1:
        raise Trouble("%s: expected one of text, base64, secret" % entry["path"])
    content = entry[given[0]]
    return content.encode() if given == ["text"] else base64.b64decode(content)


def read(path):
    """The content; None when there is no such file. A link is not followed: it would be replaced."""
    if os.path.islink(path) or not os.path.lexists(path):
        return None
    if not os.path.isfile(path):
        raise Trouble("%s: expected a file; got something else" % path)
    with open(path, "rb") as file:
        return file.read()


def some_of(path):
    """What a difference would show of it. Weights are not read into memory to be removed."""
    with open(path, "rb") as file:
        return file.read(MOST_SHOWN + 1)


def behind(path):
    """The path itself, or what the link there points to: a document that others own stays where they keep it."""
    if not os.path.islink(path):
        return path
    if not os.path.exists(path):
        raise Trouble(
            "%s: expected a file; got a link to %s, which is not there. It was left as it is: "
            "make that file (with {} in it, say), or remove the link" % (path, os.readlink(path))
        )
    return os.path.realpath(path)


def parsed(path, content):
    if content is None or not content.strip():
        return {}
    try:
        document = json.loads(content)
    except ValueError as error:
        raise Trouble("%s: expected JSON; got %s. It was left as it is" % (path, error))
    if not isinstance(document, dict):
        raise Trouble("%s: expected a JSON object. It was left as it is" % path)
    return document


def merge(document, values):
    found = dict(document)
    for key, value in values.items():
        old = found.get(key)
        found[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def kept(entry, now):
    """Mode and owner of a document that others own stay as they are."""
    if now is None:
        return int(entry["mode"], 8), ids(entry)
    found = os.stat(entry["path"])
    return stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)


def ids(entry, missing=False):
    try:
        return pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
    except KeyError as error:
        if missing:
            return -1, -1
        raise Trouble("%s: there is no account %s on this host" % (entry["path"], error))


def write(path, content, mode, owner):
    """In one step, and on disk before it has its name; a full disk leaves the old file whole."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=".hostler-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def mark(path):
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("")


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    else:
        os.unlink(path)


def show(content, hidden):
    if content is None:
        return ""
    if hidden:
        return "(secret)\n"
    if len(content) > MOST_SHOWN:
        return "(more than %d bytes)\n" % MOST_SHOWN
    text = content.decode("utf-8", "replace")
    if "\0" in text or "\ufffd" in text:
        return "(%d bytes)\n" % len(content)
    return text


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    files = Files(module.params["due"], module.check_mode)
    due = module.params["due"]
    for entry in module.params["entries"]:
        try:
            files.make(entry)
        except Trouble as error:
            module.fail_json(msg=str(error), paths=files.paths)
        except OSError as error:
            module.fail_json(msg="%s: %s" % (entry["path"], error.strerror or error), paths=files.paths)
    marked = bool(due) and (os.path.exists(due) or (module.check_mode and bool(files.paths)))
    module.exit_json(changed=bool(files.paths), paths=files.paths, due=marked, diff=files.diffs)


if __name__ == "__main__":
    main()
