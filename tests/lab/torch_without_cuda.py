"""Makes the CUDA build of torch, the only one on the package index, import without any CUDA library, and small.

One stub library defines every symbol that torch's libraries miss and lies beside them under the name of each library
that is not there. A function of CUDA answers 100, no device: torch.cuda.is_available() is False. Nothing reads the
machine code for cards then.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .shell import sh

NO_DEVICE = 100  # cudaErrorNoDevice
STUB = "libtorch_nogpu_stub.so"
GPU = re.compile(r"lib(cu|nv|nccl)")
CARD_CODE = ".nv_fatbin"
NEXT = "\n"


@dataclass(frozen=True, order=True)
class Symbol:
    """`version` is the name that the loader insists on, mostly empty."""

    name: str
    version: str


def _symbols(library: Path, which: str) -> Iterator[tuple[Symbol, str]]:
    """The dynamic symbols, each with nm's letter; `which` is nm's flag for a part of them."""
    for line in sh("nm", "-D", "-P", which, library).splitlines():
        word, letter = line.split()[:2]
        name, _, version = word.partition("@")
        yield Symbol(name, version.lstrip("@")), letter


def _needed(library: Path) -> set[str]:
    return set(re.findall(r"\(NEEDED\).*\[(.+?)\]", sh("readelf", "-dW", library)))


def _missing(libraries: Iterable[Path], elsewhere: Iterable[Path]) -> dict[str, Symbol]:
    """What these libraries want and neither they nor those define, by name. A weak one may stay undefined."""
    wanted: dict[str, Symbol] = {}
    for library in libraries:
        for symbol, letter in _symbols(library, "--undefined-only"):
            if letter == "U" and not (symbol.name in wanted and not symbol.version):
                wanted[symbol.name] = symbol
    for library in (*libraries, *elsewhere):
        for symbol, _ in _symbols(library, "--defined-only"):
            wanted.pop(symbol.name, None)
    return dict(sorted(wanted.items()))


def _answer(name: str) -> str:
    if name in ("cudaGetErrorString", "cudaGetErrorName"):
        return "lea .Lmessage(%rip),%rax"
    if name.startswith("_Z"):  # of C++: may return a reference that a static initializer writes to
        return "lea .Lscratch(%rip),%rax"
    return f"mov ${NO_DEVICE},%eax"


def assembly(names: Iterable[str]) -> str:
    """The stub's source: a function for each name."""
    functions = (f".globl {n}\n.type {n},@function\n{n}: {_answer(n)}\nret" for n in names)
    data = (
        ".section .rodata",
        '.Lmessage: .asciz "no CUDA in the lab"',
        ".data",
        ".balign 64",
        ".Lscratch: .zero 4096",
        '.section .note.GNU-stack,"",@progbits',
    )
    return NEXT.join((".text", *functions, *data, ""))


def version_script(symbols: Iterable[Symbol]) -> str:
    """The linker's map that gives symbols their versions."""
    nodes: dict[str, list[str]] = {}
    for symbol in sorted(symbols):
        if symbol.version:
            nodes.setdefault(symbol.version, []).append(symbol.name)
    return "".join(f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in nodes.items())


def _link(symbols: dict[str, Symbol], target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, binary, versions = (Path(folder) / name for name in ("stub.s", "stub.o", "stub.map"))
        source.write_text(assembly(symbols))
        versions.write_text(version_script(symbols.values()))
        sh("as", "-o", binary, source)
        sh("ld", "-shared", f"--version-script={versions}", "-o", target, binary)


def _hollow(library: Path) -> None:
    """Zeros, which pack to nothing, in place of what only a card would run."""
    found = re.search(rf"{re.escape(CARD_CODE)} +\S+ +\S+ (\S+) (\S+)", sh("readelf", "-SW", library))
    if not found:
        return
    start, size = (int(number, 16) for number in found.groups())
    with library.open("r+b") as out:
        out.seek(start)
        out.write(bytes(size))


def without_cuda(torch: Path, system: Path) -> None:
    """`torch` is the package's folder, `system` where the C libraries of its root lie."""
    folder = torch / "lib"
    libraries = [path for path in sorted(folder.glob("*.so*")) if not path.is_symlink()]
    libraries += sorted(torch.glob("_C*.so"))
    names = {path.name for path in libraries}
    elsewhere = {name for library in libraries for name in _needed(library)} - names
    cards = {name for name in elsewhere if GPU.match(name)}
    present = [path for name in sorted(elsewhere - cards) if (path := system / name).exists()]
    _link(_missing(libraries, present), folder / STUB)
    for library in libraries:
        _hollow(library)
    for name in cards:
        (folder / name).symlink_to(STUB)
