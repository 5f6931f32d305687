"""Fetching against a loopback server that misbehaves: each ends in the right file or in one sentence."""

import gzip
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deepclassics.data import catalog, fetch
from deepclassics.data.fetch import File, content, fault, obtain
from deepclassics.errors import UserError

TEXT = b"".join(f"{number} and its square {number**2}\n".encode() for number in range(2000))
DATA = gzip.compress(TEXT, mtime=0)
REPACKED = gzip.compress(TEXT, compresslevel=1, mtime=0)
PAGE = b"\n<!DOCTYPE html><html><body>Please log in.</body></html>"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Server(ThreadingHTTPServer):
    """`asked` lists the paths asked for; `release` ends every stall; `both` waits for two clients to be half way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.release = threading.Event()
        self.half = threading.Event()
        self.both = threading.Barrier(2, timeout=20)

    def __call__(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *words: object) -> None:
        pass

    def give(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        half = len(DATA) // 2
        match self.path.split("/")[1]:
            case "good" | "mirror":
                self.give(200, DATA)
            case "plain":
                self.give(200, TEXT)
            case "repacked":
                self.give(200, REPACKED)
            case "wrong":
                self.give(200, gzip.compress(TEXT[1:]))
            case "damaged":
                self.give(200, DATA[:-1] + b"!")
            case "html":
                self.give(200, PAGE)
            case "missing":
                self.give(404, PAGE)
            case "busy":
                self.give(503, b"")
            case "moved":
                self.give(302, b"", Location=self.server("good"))
            case "circle":
                self.give(302, b"", Location=self.server("circle"))
            case "half":
                self.give(200, DATA[:half], length=len(DATA))
            case "half-unsaid":  # HTTP/1.0 without a length: the end of the connection is the end of the file
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + DATA[:half])
            case "half-chunked":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + DATA[:4])
            case "endless":  # until the client hangs up
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + DATA)
                while not self.server.release.is_set():
                    self.wfile.write(DATA)
            case "babble":
                self.wfile.write(b"Welcome to this host. Login: \r\n\r\n")
            case "hang-up":
                pass
            case "silent":
                self.server.release.wait(20)
            case "stall":
                self.give(200, DATA[:half], length=len(DATA))
                self.server.half.set()
                self.server.release.wait(20)
            case "dribble":
                self.give(200, DATA[:1], length=len(DATA))
                for byte in DATA[1:100]:
                    if self.server.release.wait(0.05):
                        break
                    self.wfile.write(bytes([byte]))
            case "together":
                self.give(200, DATA[:half], length=len(DATA))
                self.server.both.wait()
                self.wfile.write(DATA[half:])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave are what is tested
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPCLASSICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


def file(*urls: str) -> File:
    return File("toy/squares.txt.gz", len(DATA), digest(DATA), urls, content_sha256=(digest(TEXT),))


def held(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refused() -> str:
    """An address that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/x"


BAD = {
    "wrong": r"has SHA-256 \w{12}\.\.\. instead of \w{12}\.\.\.",
    "damaged": "is damaged",
    "html": "is an HTML page, not the file",
    "missing": "answered 404 Not Found",
    "busy": "answered 503 Service Unavailable",
    "circle": "answered 302 .*infinite loop",
    "half": r"closed the connection after [\d,]+ of [\d,]+ bytes",
    "half-unsaid": "is cut short",
    "half-chunked": r"could not be read \(IncompleteRead",
    "endless": r"sent more than [\d,]+ bytes",
    "babble": r"could not be read \(.*Welcome to this host",
    "hang-up": r"could not be read \(Remote end closed connection without response\)",
    "silent": "stalled for 0.3 s",
    "stall": "stalled for 0.3 s",
    "dribble": "stalled for 0.3 s",
}


@pytest.mark.parametrize("way", BAD)
def test_a_bad_address_is_passed_over_for_the_next(way: str, server: Server, cache: Path) -> None:
    path = obtain(file(server(way), server("good")), timeout=0.3)
    assert path == cache / "toy/squares.txt.gz"
    assert path.read_bytes() == DATA
    assert held(cache) == ["toy/squares.txt.gz"]


@pytest.mark.parametrize(("way", "cause"), BAD.items())
def test_bad_addresses_alone_end_in_one_sentence_and_an_empty_cache(
    way: str, cause: str, server: Server, cache: Path
) -> None:
    with pytest.raises(UserError) as caught:
        obtain(file(server(way)), timeout=0.3)
    message = str(caught.value)
    assert re.search(f"^toy/squares.txt.gz could not be had: {re.escape(server(way))} {cause}", message, re.DOTALL)
    for remedy in ("Set DEEPCLASSICS_MIRROR", "data bundle", digest(DATA), str(cache / "toy/squares.txt.gz")):
        assert remedy in message
    assert "\n" not in message
    assert held(cache) == []


def test_dead_addresses_are_each_named_with_their_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    find_host = socket.getaddrinfo

    def no_names(host: str, *rest: object, **more: object) -> object:
        if host == "nowhere.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return find_host(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    dead = refused()
    with pytest.raises(UserError) as caught:
        obtain(file(dead, "http://nowhere.invalid/x", "no address"))
    assert f"{dead} refused the connection; " in str(caught.value)
    assert "http://nowhere.invalid/x has a host that cannot be found; " in str(caught.value)
    assert "no address could not be read (unknown url type: 'no address')" in str(caught.value)


def test_a_redirect_is_followed(server: Server) -> None:
    assert obtain(file(server("moved"))).read_bytes() == DATA


@pytest.mark.parametrize(("way", "data"), [("plain", TEXT), ("repacked", REPACKED)])
def test_the_same_content_in_another_packing_is_right(way: str, data: bytes, server: Server) -> None:
    path = obtain(file(server(way)))
    assert path.read_bytes() == data
    assert content(path) == TEXT
    assert obtain(file()) == path


def test_another_packing_is_wrong_where_the_content_is_not_known(server: Server) -> None:
    with pytest.raises(UserError, match="has SHA-256"):
        obtain(File("toy/squares.txt.gz", len(DATA), digest(DATA), (server("plain"),)))


def test_another_file_that_holds_it_too_is_right(server: Server) -> None:
    """As the authors' own archive, which is larger, and so has another SHA-256."""
    known = File("toy/squares.txt.gz", len(DATA), digest(b"ours"), (server("plain"),), other_sha256=(digest(TEXT),))
    assert obtain(known).read_bytes() == TEXT


WHOLE = "toy/squares.txt.gz"


def pieces(*urls: str) -> tuple[File, File]:
    """Two files of a mirror that lie within one public file."""
    whole = file(*urls)
    return tuple(File(f"toy/{name}", 4, digest(name.encode()), (), within=whole) for name in ("here", "there"))  # type: ignore[return-value]


def test_a_public_file_that_holds_several_is_fetched_and_kept_once(server: Server, cache: Path) -> None:
    here, there = pieces(server("good"))
    assert obtain(here) == obtain(there) == obtain(file(server("good"))) == cache / WHOLE
    assert server.asked == ["/good"]
    assert held(cache) == [WHOLE]


def test_a_piece_that_a_mirror_has_comes_before_the_whole(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pieces(server("good"))
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/toy").mkdir(parents=True)
    (tmp_path / "mirror/toy/here").write_bytes(b"here")
    assert obtain(here) == tmp_path / "mirror/toy/here"
    assert fetch.expected(there) == there.within
    assert server.asked == []
    assert obtain(there) == cache / WHOLE
    assert obtain(here) == tmp_path / "mirror/toy/here"


def test_where_neither_the_piece_nor_the_whole_is_had_the_public_file_is_the_remedy(cache: Path) -> None:
    here, _ = pieces(dead := refused())
    with pytest.raises(UserError) as caught:
        obtain(here)
    assert str(caught.value).startswith(f"toy/here could not be had: {dead} refused the connection. Set DEEP")
    assert str(caught.value).endswith(f"put the file of SHA-256 {digest(DATA)} at {cache / WHOLE}.")


def test_what_the_cache_holds_is_not_fetched_again(server: Server) -> None:
    obtain(file(server("good")))
    assert obtain(file(server("good"))).read_bytes() == DATA
    assert len(server.asked) == 1


def test_a_file_gone_bad_in_the_cache_is_named_and_replaced(server: Server, cache: Path) -> None:
    bad = cache / "toy/squares.txt.gz"
    bad.parent.mkdir(parents=True)
    for data, cause in ((DATA[:100], "is cut short"), (DATA[:100] + bytes(100), "is damaged"), (b"", "has SHA-256")):
        bad.write_bytes(data)
        with pytest.raises(UserError, match=f"could not be had: {bad} {cause}"):
            obtain(file())
        assert obtain(file(server("good"))).read_bytes() == DATA


def test_offline_asks_nobody(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCLASSICS_OFFLINE", "1")
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", server("mirror"))
    with pytest.raises(UserError, match=r"could not be had: the network is forbidden \(--offline or DEEPCLASSICS_OFF"):
        obtain(file(server("good")))
    assert server.asked == []
    monkeypatch.setenv("DEEPCLASSICS_OFFLINE", "0")
    obtain(file(server("good")))
    assert server.asked == ["/mirror/toy/squares.txt.gz"]


def test_a_mirror_folder_is_used_where_it_lies(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also offline, and with a cache that cannot be written."""
    theirs = tmp_path / "mirror/toy/squares.txt.gz"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(DATA)
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("DEEPCLASSICS_OFFLINE", "1")
    cache.write_text("not a folder")
    assert obtain(file(server("good"))) == theirs
    assert server.asked == []


def test_a_bad_mirror_folder_is_named_and_passed_over(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(tmp_path / "mirror"))
    theirs = tmp_path / "mirror/toy/squares.txt.gz"
    with pytest.raises(UserError, match=f"could not be had: {theirs} is not there"):
        obtain(file())
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(PAGE)
    with pytest.raises(UserError, match=f"could not be had: {theirs} is an HTML page"):
        obtain(file())
    assert obtain(file(server("good"))) == cache / "toy/squares.txt.gz"
    assert theirs.read_bytes() == PAGE


def test_a_mirror_address_is_asked_first(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", server("mirror/"))
    assert obtain(file(server("good"))).read_bytes() == DATA
    assert server.asked == ["/mirror/toy/squares.txt.gz"]
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", server("missing"))
    with pytest.raises(UserError, match=r"answered 404 Not Found; .* answered 503"):
        obtain(File("toy/other", 1, digest(b"?"), (server("busy"),)))


CHILD = """
import resource, sys
from deepclassics.data.fetch import File, obtain
from deepclassics.errors import UserError
path, size, sha256, url, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    print(obtain(File(path, int(size), sha256, (url,))))
except UserError as error:
    print(error)
"""


def child(url: str, limit: int = 0) -> "subprocess.Popen[str]":
    words = ("toy/squares.txt.gz", str(len(DATA)), digest(DATA), url, str(limit))
    return subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_is_told_as_such_and_leaves_nothing(server: Server, cache: Path) -> None:
    """The system refuses to write on, here because files may be no longer than 1,000 bytes."""
    with child(server("good"), limit=1000) as process:
        said, _ = process.communicate(timeout=20)
    assert said.startswith(f"toy/squares.txt.gz could not be written to {cache / 'toy'}: File too large. Make room")
    assert "DEEPCLASSICS_CACHE" in said
    assert held(cache) == []


def test_no_space_left_is_not_taken_for_the_fault_of_an_address(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError, match=r"could not be written to .*: No space left on device. Make room"):
        obtain(file(server("good"), server("good")))
    assert len(server.asked) == 1
    assert held(cache) == []


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_asked(server: Server, cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(UserError, match=f"could not be written to {cache / 'toy'}: Not a directory"):
        obtain(file(server("good")))
    assert server.asked == []


def test_two_processes_at_once_both_get_the_right_file(server: Server, cache: Path) -> None:
    """The server holds both half way until both are there."""
    with child(server("together")) as one, child(server("together")) as two:
        said = {process.communicate(timeout=30)[0].strip() for process in (one, two)}
    assert said == {str(cache / "toy/squares.txt.gz")}
    assert (cache / "toy/squares.txt.gz").read_bytes() == DATA
    assert held(cache) == ["toy/squares.txt.gz"]
    assert len(server.asked) == 2


def test_a_process_killed_half_way_leaves_no_file_of_that_name(server: Server, cache: Path) -> None:
    with child(server("stall")) as process:
        assert server.half.wait(20)
        deadline = time.monotonic() + 20
        while not (parts := held(cache)) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert [name.endswith(".part") for name in parts] == [True]
    assert obtain(file(server("good"))).read_bytes() == DATA
    assert len(held(cache)) == 2, "a temporary file that may be in use was removed"
    os.utime(cache / parts[0], (0, 0))
    (cache / "toy/squares.txt.gz").unlink()
    obtain(file(server("good")))
    assert held(cache) == ["toy/squares.txt.gz"]


def test_progress_is_shown_of_large_files_to_who_looks(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    large = File("toy/large", fetch.LARGE, digest(DATA), (server("good"),))
    obtain(large)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    (cache / "toy/large").unlink()
    obtain(large)
    assert re.fullmatch(r"(\rtoy/large: 0\.\d MB of 2\.0)+\n", capsys.readouterr().err)
    obtain(file(server("good")))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", "there/deepclassics"),
        ("linux", "", "home/.cache/deepclassics"),
        ("darwin", "", "home/Library/Caches/deepclassics"),
        ("win32", "LOCALAPPDATA", "there/deepclassics"),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(
    platform: str, variable: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DEEPCLASSICS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "there"))
    monkeypatch.setattr(sys, "platform", platform)
    assert fetch.cache() == tmp_path / folder


@pytest.fixture
def toy(server: Server, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A data set `toy` of two files, beside the real ones."""
    from deepclassics.data.kinds.text import Text

    module = types.ModuleType("deepclassics.data.sets.toy", "Toy: squares.\n\nMore.")
    other = File("toy/other.txt", len(TEXT), digest(TEXT), (server("plain"),))
    vars(module).update(
        KIND="text",
        LICENCE="none",
        FILES=(file(server("good")), other),
        COUNTS={"all": len(TEXT)},
        read=lambda paths: Text({"all": content(paths["toy/squares.txt.gz"]).decode()}),
    )
    names = [*catalog.names(), "toy"]
    monkeypatch.setattr(catalog, "names", lambda: names)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_bundle_is_a_mirror(
    toy: types.ModuleType, server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    rows = catalog.bundle(["toy", "toy"], bundle)
    assert [(row["set"], row["file"], row["licence"]) for row in rows] == [
        ("toy", "toy/squares.txt.gz", "none"),
        ("toy", "toy/other.txt", "none"),
    ]
    assert [row["path"] for row in rows] == [str(bundle / "toy/squares.txt.gz"), str(bundle / "toy/other.txt")]
    assert held(bundle) == ["toy/other.txt", "toy/squares.txt.gz"]
    (bundle / "toy/other.txt").write_text("gone bad")
    catalog.bundle(["toy"], bundle)
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(bundle))
    monkeypatch.setenv("DEEPCLASSICS_CACHE", str(tmp_path / "another machine"))
    server.asked.clear()
    assert catalog.read("toy").parts["all"].encode() == TEXT
    assert [row["right"] for row in catalog.verify(["toy"])] == [True, True, True]
    assert server.asked == []


def test_bundle_and_fetch_refuse_what_does_not_fit(toy: types.ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no data set 'toyy'. Did you mean 'toy'"):
        catalog.bundle(["toyy"], tmp_path / "to")
    with pytest.raises(UserError, match=r"hello is embedded: it has no files. These sets have: .*mnist.*toy"):
        catalog.fetch(["toy", "hello"])
    with pytest.raises(UserError, match="Name the data sets; these have files: "):
        catalog.bundle([], tmp_path / "to")
    (tmp_path / "to").write_text("")
    with pytest.raises(UserError, match=r"A bundle must go into a folder; .*to is a file"):
        catalog.bundle(["toy"], tmp_path / "to")
    assert held(tmp_path) == ["to"]
    with pytest.raises(UserError, match=r"could not be written to .*to/x/toy: Not a directory"):
        catalog.bundle(["toy"], tmp_path / "to/x")


def test_the_verbs_tell_of_the_file_that_holds_the_pieces(
    toy: types.ModuleType, server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told, fetched, checked and bundled is the one public file, until a mirror has the pieces."""
    from deepclassics.data.kinds.text import Text

    monkeypatch.setattr(toy, "FILES", pieces(server("good")))
    monkeypatch.setattr(toy, "read", lambda paths: Text({"all": content(paths["toy/here"]).decode()}))
    (row,) = catalog.table(["toy"])
    assert (row["where"], row["bytes"]) == ("to be fetched", len(DATA))
    assert [row["right"] for row in catalog.verify(["toy"])] == [None, None]
    assert [(row["file"], row["path"]) for row in catalog.fetch(["toy"])] == [(WHOLE, str(cache / WHOLE))]
    (row,) = catalog.table(["toy"])
    assert (row["where"], row["bytes"]) == ("on this machine", len(DATA))
    assert [(row["path"], row["says"]) for row in catalog.verify(["toy"])] == [
        (str(cache / WHOLE), "has the right SHA-256"),
        ("", f"all {len(TEXT):,}, vocabulary {len(set(TEXT))}"),
    ]
    assert [row["file"] for row in catalog.bundle(["toy"], tmp_path / "bundle")] == [WHOLE]
    assert held(tmp_path / "bundle") == [WHOLE]
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(tmp_path / "bundle"))
    (cache / WHOLE).unlink()
    assert obtain(toy.FILES[1]) == tmp_path / "bundle" / WHOLE
    assert server.asked == ["/good"]


def test_verify_names_every_bad_file(toy: types.ModuleType, cache: Path) -> None:
    assert [(row["right"], row["says"]) for row in catalog.verify(["toy"])] == [(None, "is not on this machine")] * 2
    assert catalog.table(["toy"])[0]["where"] == "to be fetched"
    paths = [row["path"] for row in catalog.fetch(["toy"])]
    rows = catalog.verify(["toy"])
    assert [(row["path"], row["right"]) for row in rows] == [(paths[0], True), (paths[1], True), ("", True)]
    assert rows[-1]["says"].startswith(f"all {len(TEXT):,}, vocabulary ")
    assert catalog.table(["toy"])[0]["where"] == "on this machine"
    Path(paths[1]).write_bytes(b"bad")
    assert [(row["right"], row["says"][:11]) for row in catalog.verify(["toy"])] == [
        (True, "has the rig"),
        (False, "has SHA-256"),
    ]
    toy.COUNTS["all"] = 5  # type: ignore[attr-defined]
    catalog.fetch(["toy"])
    assert catalog.verify(["toy"])[-1]["says"].startswith(f"toy: all must count 5; got {len(TEXT):,}.")


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(file(), tmp_path) == "cannot be read (Is a directory)"
    assert fault(file(), tmp_path / "nothing") == "is not there"
