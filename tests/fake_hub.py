"""A small Hugging Face Hub on this machine: what huggingface_hub asks to write and to read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class FakeHub:
    """Repositories in memory, as lists of commits, and a record of what was asked.

    refusal  (part of a path, status, X-Error-Code or None): requests that are refused; None: none
    sizes    what is said of a file's size instead of the truth
    """

    def __init__(self) -> None:
        self.commits: dict[str, list[tuple[str, Files]]] = {}
        self.private: dict[str, bool] = {}
        self.objects: Files = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.refusal: tuple[str, int, str | None] | None = None
        self.sizes: dict[str, Any] = {}
        self.endpoint = ""

    def files(self, repo: str) -> Files:
        """The newest commit's."""
        return self.commits[repo][-1][1]

    def commit(self, repo: str, files: Files) -> str:
        """Another commit of exactly these files → its hash."""
        before = self.commits.setdefault(repo, [])
        content = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files.items())
        sha = hashlib.sha1(json.dumps([len(before), content]).encode()).hexdigest()
        before.append((sha, dict(files)))
        return sha

    def find(self, repo: str, revision: str) -> tuple[str, Files] | None:
        """A commit by `main` or its hash."""
        found = self.commits[repo]
        return (
            found[-1] if revision == "main" else next((each for each in found if each[0] == revision), None)
        )


@contextmanager
def serving() -> Iterator[FakeHub]:
    """The hub at `endpoint`, until the end of the block."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal clean."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 (the base class calls these)

    def _answer(self) -> None:
        path, hub = unquote(urlsplit(self.path).path), self.hub
        body = self._body()
        hub.asked.append(f"{self.command} {path}")
        if "/objects/" not in path:  # Storage has keys of its own.
            hub.tokens.add(self.headers.get("Authorization", ""))
        if hub.refusal is not None and hub.refusal[0] in path:
            self._refuse(*hub.refusal[1:])
            return
        for pattern, method in _ROUTES:
            if (found := re.fullmatch(pattern, f"{self.command} {path}")) is not None:
                getattr(self, method)(body, *found.groups())
                return
        self._refuse(404, None)

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.hub.commits:
            self._send(json.dumps({"url": f"{self.hub.endpoint}/{repo}"}).encode(), status=409)
            return
        self.hub.commit(repo, {".gitattributes": b""})
        self.hub.private[repo] = asked.get("private", False) or asked.get("visibility") == "private"
        self._json({"url": f"{self.hub.endpoint}/{repo}"})

    def validate(self, body: bytes) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, repo: str) -> None:
        names = [each["path"] for each in json.loads(body)["files"]]
        mode = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
        self._json({"files": [{"path": n, "uploadMode": mode[n], "shouldIgnore": False} for n in names]})

    def batch(self, body: bytes, repo: str) -> None:
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.endpoint}/objects/{each['oid']}"}}}
            for each in json.loads(body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def put(self, body: bytes, oid: str) -> None:
        self.hub.objects[oid] = body
        self._send(b"")

    def write(self, body: bytes, repo: str) -> None:
        files = dict(self.hub.files(repo))
        for line in body.splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        sha = self.hub.commit(repo, files)
        self._json({"commitUrl": f"{self.hub.endpoint}/{repo}/commit/{sha}", "commitOid": sha})

    def info(self, body: bytes, repo: str, revision: str | None) -> None:
        if (found := self._find(repo, revision or "main")) is not None:
            sha, files = found
            siblings = [
                {"rfilename": name, "size": self.hub.sizes.get(name, len(data))}
                for name, data in files.items()
            ]
            self._json({"id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "tags": []})

    def tree(self, body: bytes, repo: str, revision: str) -> None:
        if (found := self._find(repo, revision)) is not None:
            self._json([_entry(name, data) for name, data in found[1].items()])

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> None:
        if (found := self._find(repo, revision)) is None:
            return
        if (data := found[1].get(name)) is None:
            self._refuse(404, "EntryNotFound")
            return
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        self._send(data, headers=headers)

    def _find(self, repo: str, revision: str) -> tuple[str, Files] | None:
        if repo not in self.hub.commits:
            self._refuse(404, "RepoNotFound")
            return None
        if (found := self.hub.find(repo, revision)) is None:
            self._refuse(404, "RevisionNotFound")
        return found

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode())

    def _refuse(self, status: int, code: str | None) -> None:
        self._send(b"{}", status, {} if code is None else {"X-Error-Code": code})

    def _send(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


_REPO = r"([^/]+/[^/]+)"
_ROUTES = (
    (r"POST /api/repos/create", "create"),
    (r"POST /api/validate-yaml", "validate"),
    (rf"POST /api/models/{_REPO}/preupload/main", "preupload"),
    (rf"POST /{_REPO}\.git/info/lfs/objects/batch", "batch"),
    (r"PUT /objects/([0-9a-f]+)", "put"),
    (rf"POST /api/models/{_REPO}/commit/main", "write"),
    (rf"GET /api/models/{_REPO}(?:/revision/(.+))?", "info"),
    (rf"GET /api/models/{_REPO}/tree/([^/]+)", "tree"),
    (rf"(?:GET|HEAD) /{_REPO}/resolve/([^/]+)/(.+)", "resolve"),
)


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if name.endswith(".safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry
