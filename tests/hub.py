"""The part of a model hub that downloads use: a real HTTP server on loopback."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the repositories below `root`: root/OWNER/NAME/FILE."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.root = root
        self.gated: set[str] = set()
        """Repositories that need a token."""
        self.breaks_after: int | None = None
        """Bytes after which a download breaks off, once."""
        self.stalls = threading.Event()
        """Set: it does not break off there, but says nothing more until this is cleared."""
        self.has_stalled = threading.Event()
        self.spoils = False
        """Data arrives otherwise than it is here."""
        self.asked: list[str] = []
        """Method, path and range of every request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, repo: str, name: str, content: bytes) -> None:
        path = self.root / repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def hub(root: Path) -> Generator[Hub]:
    """Serve the repositories below `root` until the end."""
    with Hub(root) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.stalls.clear()
            server.shutdown()
            thread.join()


class _Asked(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride] - narrower, and always so
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        sent_range = self.headers.get("Range")
        self.server.asked.append(f"{self.command} {self.path} {sent_range or ''}".rstrip())
        words = self.path.partition("?")[0].strip("/").split("/")
        repo = "/".join(words[2:4] if words[0] == "api" else words[:2])
        if repo.count("/") != 1 or not (self.server.root / repo).is_dir():
            self.refuse(404, "RepoNotFound")
        elif repo in self.server.gated:
            self.refuse(403, "GatedRepo")
        elif words[0] == "api":
            self.list_files(repo, is_tree="tree" in words)
        else:
            self.send_file(self.server.root / repo / "/".join(words[4:]))

    def list_files(self, repo: str, *, is_tree: bool) -> None:
        files = sorted((self.server.root / repo).iterdir())
        tree = [
            {"type": "file", "path": each.name, "size": each.stat().st_size, "oid": etag(each)}
            for each in files
        ]
        siblings = [{"rfilename": each.name, "size": each.stat().st_size} for each in files]
        known = {"id": repo, "sha": REVISION, "siblings": siblings}
        self.reply(200, json.dumps(tree if is_tree else known).encode())

    def send_file(self, path: Path) -> None:
        if not path.is_file():
            self.refuse(404, "EntryNotFound")
            return
        content = path.read_bytes()
        if self.server.spoils:
            content = content[::-1]
        headers = {"ETag": f'"{etag(path)}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            self.reply(200, content, headers)
            return
        start, last = int(asked[1]), int(asked[2] or len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
        self.reply(206, content[start : last + 1], headers)

    def refuse(self, status: int, code: str) -> None:
        self.reply(status, b"{}", {"X-Error-Code": code})

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        breaks_after = self.server.breaks_after if "/resolve/" in self.path else None
        if breaks_after is None:
            self.wfile.write(body)
            return
        self.server.breaks_after = None
        self.wfile.write(body[:breaks_after])
        self.wfile.flush()
        self.server.has_stalled.set()
        while self.server.stalls.is_set():
            time.sleep(0.02)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
