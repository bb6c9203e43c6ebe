"""A part of a file of weights, for who works out how much memory a model takes."""

from __future__ import annotations

import base64
import os

from ..base import files
from ..base.protocol import Answers, NodeError, Request, number, text

MOST = 16 << 20  # bytes of one answer


def span(request: Request, answers: Answers) -> int:
    """`span {"path", "offset", "count"}` -> {"data": base64, "size": of the whole file}; less at its end. Only what is
    weights, or lies beside them: .gguf, .safetensors, .json."""
    path, offset, count = text(request, "path"), int(number(request, "offset")), int(number(request, "count"))
    if not path.endswith((".gguf", ".safetensors", ".json")) or offset < 0 or not 0 <= count <= MOST:
        raise NodeError("usage", "span: %r from %d, %d bytes" % (path, offset, count), rc=2)
    with open(files.at(path), "rb") as file:
        file.seek(offset)
        data = file.read(count)
        answers.say(data=base64.b64encode(data).decode("ascii"), size=os.fstat(file.fileno()).st_size)
    return 0
