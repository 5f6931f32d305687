"""Data files by their SHA-256: from the cache, the mirror, or the net.

A file is looked for in the cache, then in the mirror (`DEEPCLASSICS_MIRROR`, a folder or an http(s) address laid out
as `<set>/<file>`), then at its public addresses in turn, until one of them gives the right bytes. What lies in a
folder is used where it lies; what comes over the net is written to a temporary file in the cache, flushed, checked and
only then renamed, so the cache never holds a bad file under a good name, and two processes that fetch the same file at
once need no lock: each renames the right file into place.

A SHA-256 is taken every time a file is used, not only when it arrives: it costs a twentieth of what reading the file
does (MNIST: some 10 ms), and needs no record beside the file that could be wrong.

urllib, not pooch: several addresses for a file, content in another packing, servers that stall, and errors that are
sentences would each have to be built around pooch, and what is left of it is shorter than what is around it.
"""

import gzip
import hashlib
import io
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deepclassics import __version__
from deepclassics.errors import UserError

TIMEOUT = 20.0  # seconds that a server may be silent
MOST = 64  # times the size of the file as we know it: an address may serve it in another packing
SLOWEST = 1000  # bytes per second; below it, over TIMEOUT, a server counts as stalled
CHUNK = 1 << 18  # bytes
LARGE = 2_000_000  # bytes; above it progress is shown
STALE = 3600.0  # seconds; a temporary file not written to for longer belongs to a process that was killed

GZIP = b"\x1f\x8b"
HTML = (b"<!doctype html", b"<html")
MISSING = "is not there"


@dataclass(frozen=True)
class File:
    """One file of a data set, and all the bytes that are right for it.

    Public addresses may serve the same content in another packing (plain where the mirror has gzip): it is taken for
    right where its unpacked content has one of `content_sha256`, stored as it came, and read by `content`.
    """

    path: str  # in the mirror and in the cache: "<set>/<file>"
    size: int  # bytes
    sha256: str
    urls: tuple[str, ...]
    content_sha256: tuple[str, ...] = ()
    other_sha256: tuple[str, ...] = ()  # of other files that hold it too, such as the authors' larger archive
    within: "File | None" = None  # a public file that holds it beside others; had, and kept under its own name, instead

    @property
    def forms(self) -> tuple["File", ...]:
        """The files that it can be read from, best first."""
        return (self, self.within) if self.within else (self,)


class _Broken(Exception):
    """An address gave no file; the message is a clause that follows the address."""


def cache() -> Path:
    """The folder that fetched files are kept in."""
    named = os.environ.get("DEEPCLASSICS_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    try:
        home = Path.home()
    except RuntimeError:
        raise UserError("There is no home folder to keep data in. Set DEEPCLASSICS_CACHE to a folder.") from None
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = home / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return caches / "deepclassics"


def mirror() -> str | Path | None:
    """The mirror: an http(s) address, a folder, or none."""
    named = os.environ.get("DEEPCLASSICS_MIRROR", "")
    if named.startswith(("http://", "https://")):
        return named.rstrip("/")
    return Path(named).expanduser().absolute() if named else None


def offline() -> bool:
    """Whether the network is forbidden; `--offline` sets the variable, so that child processes know."""
    return os.environ.get("DEEPCLASSICS_OFFLINE", "") not in ("", "0")


def places(file: File) -> list[Path]:
    """Where on this machine a file may lie, best first: in the cache, in the mirror if that is a folder."""
    source = mirror()
    return [cache() / file.path] + ([source / file.path] if isinstance(source, Path) else [])


def addresses(file: File) -> list[str]:
    """Where on the net a file may lie: in the mirror if that is an address, then at its public ones."""
    source = mirror()
    return [f"{source}/{file.path}", *file.urls] if isinstance(source, str) else list(file.urls)


def expected(file: File) -> File:
    """The form of it that is here, else the one that would be fetched. Files are looked for, not read."""
    here = [form for form in file.forms if any(os.access(place, os.R_OK) for place in places(form))]
    return next(iter([*here, *(form for form in file.forms if addresses(form)), file]))


def obtain(file: File, timeout: float = TIMEOUT) -> Path:
    """A path that holds the right bytes of `file`, or of the file that it lies within: see `had`."""
    return had(file, timeout)[1]


def had(file: File, timeout: float = TIMEOUT) -> tuple[File, Path]:
    """The form of `file` that could be had, and where it lies: in the cache, the mirror, or now fetched from the net.

    `timeout`: seconds that a server may be silent.

    Raises:
        UserError: no place had it: names the file, the cause at every place, and the remedy.
    """
    causes = []
    for form in file.forms:
        for path in places(form):
            wrong = fault(form, path)
            if not wrong:
                return form, path
            if path != cache() / form.path or wrong != MISSING:  # that the cache lacks a file is no cause
                causes.append(f"{path} {wrong}")
    if offline():
        causes.append("the network is forbidden (--offline or DEEPCLASSICS_OFFLINE)")
    else:
        for form in file.forms:
            for address in addresses(form):
                wrong = store(form, cache() / form.path, _watched(form, _download(address, timeout, MOST * form.size)))
                if not wrong:
                    return form, cache() / form.path
                causes.append(f"{address} {wrong}")
    public = file.forms[-1]
    raise UserError(
        f"{file.path} could not be had: {'; '.join(causes)}. Set DEEPCLASSICS_MIRROR to a folder or an address that "
        f"has it (`deepclassics data bundle` makes such a folder on another machine), or put the file of SHA-256 "
        f"{public.sha256} at {cache() / public.path}."
    )


def fault(file: File, path: Path) -> str:
    """Why `path` is not `file`, as a clause that follows the path; "" where it is."""
    try:
        with path.open("rb") as source:
            got = hashlib.file_digest(source, "sha256").hexdigest()
            if got in (file.sha256, *file.other_sha256):
                return ""
            source.seek(0)
            head = source.read(512).lstrip().lower()
        if file.content_sha256:
            with _unpacked(path) as content:
                if hashlib.file_digest(content, "sha256").hexdigest() in file.content_sha256:
                    return ""
    except EOFError:
        return "is cut short"
    except (zlib.error, gzip.BadGzipFile):
        return "is damaged"
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if head.startswith(HTML):
        return "is an HTML page, not the file"
    return f"has SHA-256 {got[:12]}... instead of {file.sha256[:12]}..."


def content(path: Path) -> bytes:
    """The content of a file, unpacked if it is packed: its first bytes tell, not its name (see `File`)."""
    with _unpacked(path) as source:
        return source.read()


def store(file: File, target: Path, pieces: Iterable[bytes]) -> str:
    """Put `pieces` at `target` if they are the right bytes of `file`; else say why not, as `fault` does.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.urandom(6).hex()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(f".{target.name}.*.part"):
            with suppress(FileNotFoundError):  # another process may just have finished with it
                if time.time() - old.stat().st_mtime > STALE:
                    old.unlink()
        with part.open("xb") as sink:
            for piece in pieces:
                sink.write(piece)
            sink.flush()
            os.fsync(sink.fileno())
        wrong = fault(file, part)
        if not wrong:
            part.replace(target)
        return wrong
    except _Broken as broken:
        return str(broken)
    except OSError as error:
        raise UserError(
            f"{file.path} could not be written to {target.parent}: {error.strerror}. Make room there or name another "
            f"folder (DEEPCLASSICS_CACHE for the cache)."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _unpacked(path: Path) -> gzip.GzipFile | io.BufferedReader:
    with path.open("rb") as source:
        packed = source.read(2) == GZIP
    return gzip.GzipFile(path) if packed else path.open("rb")


def _download(address: str, timeout: float, most: int) -> Iterator[bytes]:
    """The bytes at `address`, `most` of them; raises _Broken where they do not come whole, or never end."""
    import http.client
    import socket
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(address, headers={"User-Agent": f"deepclassics/{__version__}"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            promised = answer.headers["Content-Length"]
            received, before, due = 0, 0, time.monotonic() + timeout
            while piece := answer.read1(CHUNK):
                yield piece
                received += len(piece)
                if received > most:
                    raise _Broken(f"sent more than {most:,} bytes")
                # The socket's own timeout is no help against a server that sends a byte now and then.
                if time.monotonic() > due:
                    if received - before < SLOWEST * timeout:
                        raise TimeoutError
                    before, due = received, time.monotonic() + timeout
            if promised is not None and received < int(promised):
                raise _Broken(f"closed the connection after {received:,} of {int(promised):,} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        raise _Broken(f"answered {error.code} {_line(error.reason)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            raise _Broken(f"stalled for {timeout:g} s") from None
        if isinstance(reason, socket.gaierror):
            raise _Broken("has a host that cannot be found") from None
        if isinstance(reason, ConnectionRefusedError):
            raise _Broken("refused the connection") from None
        raise _Broken(f"could not be read ({_line(reason) or type(reason).__name__})") from None


def _line(message: object) -> str:
    return " ".join(str(message).split())


def _watched(file: File, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, with progress on standard error where the file is large and somebody looks."""
    if file.size < LARGE or not sys.stderr.isatty():
        yield from pieces
        return
    received = 0
    try:
        for piece in pieces:
            received += len(piece)
            print(
                f"\r{file.path}: {received / 1e6:.1f} MB of {file.size / 1e6:.1f}", end="", file=sys.stderr, flush=True
            )
            yield piece
    finally:
        print(file=sys.stderr)
