"""A hub on loopback: looks up repositories, sends parts of files, redirects to where data lies.

python hub_server.py ROOT LOG: serves ROOT/OWNER/NAME, prints its port, and writes one JSON line per
request into LOG. Names of owners make it misbehave: "gated" wants a token, "whole" ignores ranges,
"busy" answers every second request for data with 503, "short" sends less than was asked for.
"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

ROOT, LOG = Path(sys.argv[1]), Path(sys.argv[2])
TOKEN = "Bearer hf_made_up_secret"
DATA_REQUESTS = count()


def commit(repo: Path) -> str:
    described = [(path.name, path.stat().st_size) for path in sorted(repo.iterdir())]
    return hashlib.sha1(json.dumps(described).encode(), usedforsecurity=False).hexdigest()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        key = self.headers.get("Authorization")
        words = self.path.partition("?")[0].strip("/").split("/")
        sent_range = self.headers.get("Range")
        with LOG.open("a") as log:
            log.write(json.dumps({"path": self.path, "range": sent_range, "key": key}) + "\n")
        if "busy" in words and words[0] == "data" and next(DATA_REQUESTS) % 2 == 0:
            self.reply(503, b"later")
        elif "gated" in words and words[0] != "data" and key != TOKEN:
            self.reply(401, b"no", {"X-Error-Code": "GatedRepo"})
        elif len(words) < 4:
            self.reply(404, b"nothing here")
        elif words[:2] == ["api", "models"]:
            self.look_up(ROOT / words[2] / words[3], words[5] if len(words) > 5 else None)
        elif words[2] == "resolve":
            self.resolve(ROOT / words[0] / words[1], words[3], "/".join(words[4:]))
        elif words[0] == "data":
            self.send_part(ROOT / "/".join(words[1:]), key)

    def look_up(self, repo: Path, revision: str | None) -> None:
        if not repo.is_dir():
            self.reply(404, b"none", {"X-Error-Code": "RepoNotFound"})
        elif revision not in {None, "main", commit(repo)}:
            self.reply(404, b"none", {"X-Error-Code": "RevisionNotFound"})
        else:
            files = [{"rfilename": p.name, "size": p.stat().st_size} for p in repo.iterdir()]
            known = {"id": f"{repo.parent.name}/{repo.name}", "sha": commit(repo)}
            self.reply(200, json.dumps({**known, "siblings": files}).encode())

    def resolve(self, repo: Path, revision: str, name: str) -> None:
        """Large files lie on another host, behind a signed address."""
        if revision != commit(repo):
            self.reply(404, b"none", {"X-Error-Code": "RevisionNotFound"})
        elif name.endswith(".safetensors"):
            at = f"http://localhost:{served.server_port}/data/{repo.parent.name}/{repo.name}/{name}"
            self.reply(302, b"", {"Location": f"{at}?signature=made-up"})
        else:
            self.send_part(repo / name, None)

    def send_part(self, path: Path, key: str | None) -> None:
        if key is not None:
            self.reply(400, b"a token does not belong here")
            return
        whole = path.read_bytes()
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        if "whole" in path.parts:
            self.reply(200, whole)
            return
        part = whole[first : last + 1]
        shown = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(whole)}"}
        self.reply(206, part[:-1] if "short" in path.parts else part, shown)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


if __name__ == "__main__":
    served = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    print(served.server_port, flush=True)  # noqa: T201 - whoever started it reads this
    served.serve_forever()
