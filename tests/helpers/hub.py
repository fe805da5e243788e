"""A stand-in for the Hugging Face hub on loopback: the part of its API that huggingface_hub uses for models."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_" + "t" * 34
LARGE = (".safetensors", ".onnx", ".bin", ".pth")
"""Suffixes of the files that are stored by their SHA-256 outside git."""


@dataclass
class Repository:
    """A repository: its commits, each with all files, and the branches and tags that point to them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], message: str = "", branch: str = "main") -> str:
        """Add files to a branch; return the commit."""
        before = self.refs.get(branch, self.refs.get("main", ""))
        whole = {**self.commits.get(before, {}), **files}
        text = before + branch + "".join(f"{p}{hashlib.sha256(d).hexdigest()}" for p, d in sorted(whole.items()))
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit], self.messages[commit], self.refs[branch] = whole, message, commit
        return commit


class StandIn:
    """The stand-in server.

    Attributes:
        url: Its address.
        repositories: By OWNER/NAME.
        requests: Method and path of each request.
        authorizations: The authorization header of each request.
        large: Large files that were uploaded, by SHA-256.
        broken: Suffixes of paths whose requests are cut off in the middle.
        damaged: Names of files that are sent with one byte changed.
        failing: Suffixes of paths, by the status that they answer with.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.large: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.damaged: set[str] = set()
        self.failing: dict[str, int] = {}
        self.url = ""

    def publish(self, name: str, folder: Path | dict[str, bytes], **options: Any) -> str:
        """Publish a folder's files, or files by name; return the commit."""
        given = folder if isinstance(folder, dict) else {p.name: p.read_bytes() for p in folder.iterdir()}
        return self.repositories.setdefault(name, Repository(**options)).commit(given)

    def uploads(self) -> list[str]:
        """Return the requests that send data."""
        return [one for one in self.requests if re.match(r"PUT|POST .*/commit/", one)]


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    """Return a file as the hub lists it."""
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", url: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.url = status, code, message, url


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.authorizations.append(self.headers.get("Authorization", ""))
        try:
            for suffix, status in self.hub.failing.items():
                if path.endswith(suffix):
                    raise _RefusedError(status, "", "stand-in says no")
            if self.command == "PUT" and any(path.endswith(suffix) for suffix in self.hub.broken):
                self.rfile.read(min(10, int(self.headers.get("Content-Length") or 0)))
                self.close_connection = True
                return None
            body = self._body()
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(.+?)/([^/]+)", path)
            if found:
                return self._file(*found.groups())
            if path.startswith("/large/"):
                return self._put(path.rpartition("/")[2], body)
            lines = path.split("/")[-2:-1] == ["commit"]  # one JSON object in each
            self._json(self._api(path, json.loads(body) if body and not lines else body))
        except _RefusedError as error:
            self._json({"error": error.message, "url": error.url}, error.status, error.code, error.message)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

    def _json(self, value: Any, status: int = 200, code: str = "", message: str = "") -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self._send(data)

    def _send(self, data: bytes) -> None:
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, name: str) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._known):
            raise _RefusedError(404 if self._known else 401, "RepoNotFound", "Repository not found")
        if found.gated:
            raise _RefusedError(403, "GatedRepo", "Access is restricted")
        return found

    def _commit(self, repository: Repository, revision: str) -> str:
        commit = revision if revision in repository.commits else repository.refs.get(revision, "")
        if not commit:
            raise _RefusedError(404, "RevisionNotFound", "Invalid rev id")
        return commit

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name)
        commit = self._commit(repository, revision)
        data = repository.commits[commit].get(path)
        if data is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        etag = hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else _blob(data)
        first = re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range") or "")
        start = int(first[1]) if first else 0
        if path in self.hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", commit)
        if first:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.command == "GET" and path in self.hub.broken:
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + len(data) // 2])
            self.close_connection = True
            return
        self._send(data[start:])

    def _put(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.large[oid] = body
        self._json({})

    def _api(self, path: str, body: Any) -> Any:
        """Return the answer of the hub's API."""
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(body)
        if found := re.fullmatch(r"/(.+)\.git/info/lfs/objects/batch", path):
            self._writable(found[1])
            return {"transfer": "basic", "objects": [self._object(one) for one in body["objects"]]}
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+))?(?:/(.+))?", path)
        if found is None:
            raise _RefusedError(404, "", f"no {path}")
        name, what, revision = found.groups()
        if what in (None, "revision"):
            repository = self._repository(name)
            commit = self._commit(repository, revision or "main") if revision or repository.refs else ""
            files = repository.commits.get(commit, {})
            return {
                "id": name, "modelId": name, "sha": commit, "private": repository.private, "tags": [], "downloads": 0,
                "likes": 0, "siblings": [{"rfilename": path} for path in files],
            }  # fmt: skip
        if what == "tree":
            repository = self._repository(name)
            return [_entry(p, d) for p, d in repository.commits[self._commit(repository, revision)].items()]
        repository = self._writable(name)
        if what == "branch":
            repository.refs.setdefault(revision, repository.refs["main"])
            return {}
        if what == "preupload":
            modes = {one["path"]: "lfs" if one["path"].endswith(LARGE) else "regular" for one in body["files"]}
            return {"files": [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]}
        if what == "commit":
            return self._take(name, repository, revision, [json.loads(line) for line in body.splitlines()])
        raise _RefusedError(404, "", f"no {path}")

    def _writable(self, name: str) -> Repository:
        if not self._known:
            raise _RefusedError(401, "", "Invalid credentials in Authorization header")
        return self._repository(name)

    def _create(self, body: dict[str, Any]) -> Any:
        if not self._known:
            raise _RefusedError(401, "", "Invalid credentials in Authorization header")
        name = f"{body['organization']}/{body['name']}"
        if name in self.hub.repositories:
            raise _RefusedError(409, "", "You already created this model repo", f"{self.hub.url}/{name}")
        self.hub.repositories[name] = Repository(private=body.get("visibility") == "private")
        self.hub.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        return {"url": f"{self.hub.url}/{name}", "id": "1", "name": name}

    def _object(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.hub.large:
            return one
        return {**one, "actions": {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}}

    def _take(self, name: str, repository: Repository, branch: str, lines: list[dict[str, Any]]) -> Any:
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        commit = repository.commit(files, lines[0]["value"]["summary"], branch)
        return {"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"}


@contextmanager
def stand_in(home: Path, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> Iterator[StandIn]:
    """Run the stand-in, and point huggingface_hub to it, with an empty cache and a login of its own.

    huggingface_hub reads the environment when it is imported; for this process its constants are set as well.
    """
    from huggingface_hub import constants

    hub = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    settings = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, constant in {
        "ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True, "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    }.items():  # fmt: skip
        monkeypatch.setattr(constants, name, constant)
    if not token:
        monkeypatch.delenv("HF_TOKEN")
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set HF_HUB_OFFLINE=1 for this process."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
