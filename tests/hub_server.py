"""As much of the Hugging Face Hub, on the loopback, as its client needs to push and to fetch."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
LARGE = (".safetensors", ".pt")


@dataclass
class Repo:
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)  # name -> commit
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit -> path -> content
    messages: list[str] = field(default_factory=list)


class HubServer(http.server.ThreadingHTTPServer):
    """Repositories in memory; large files go and come by way of a store beside, as on the Hub.

    Attributes:
        asked: method and path of each request, in order.
        fetched: files of repositories that were asked for.
        answer: status and error code to give to every request, in place of what it asks for.
        leaked: requests to the store that told it the token.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.store_url = f"http://localhost:{self.server_port}/lfs"  # another host, to the client
        self.repos: dict[str, Repo] = {}
        self.store: dict[str, bytes] = {}  # SHA-256 -> content
        self.asked: list[tuple[str, str]] = []
        self.fetched: set[str] = set()
        self.leaked: list[str] = []
        self.answer: tuple[int, str] | None = None

    def create(self, name: str, private: bool = False) -> Repo:
        self.repos[name] = Repo(private)
        self.commit(name, {})
        return self.repos[name]

    def commit(self, name: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Files added to those of the branch; the commit's name."""
        repo = self.repos[name]
        tree = {**repo.commits.get(repo.branches.get(branch, ""), {}), **files}
        sha = hashlib.sha1(f"{name} {branch} {len(repo.commits)}".encode()).hexdigest()
        repo.commits[sha] = tree
        repo.branches[branch] = sha
        self.store.update({sha256(content): content for content in files.values()})
        return sha

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        return self.repos[name].commits[self.repos[name].branches[branch]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubHandler(http.server.BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = self._read_chunks()
        else:
            self.body = self.rfile.read(length)
        self.server.asked.append((self.command, path))
        if self.server.answer:
            status, code = self.server.answer
            self.refuse(status, "as the test wants it", code)
            return
        for method, pattern, answer in ROUTES:
            if method == self.command.replace("HEAD", "GET") and (
                match := re.fullmatch(pattern, path)
            ):
                answer(self, **match.groupdict())
                return
        self.refuse(404, f"the stand-in knows no {self.command} {path}")

    do_GET = do_HEAD = do_POST = do_PUT = _route

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send(
        self, content: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_json(self, value: object, status: int = 200) -> None:
        self.send(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def refuse(self, status: int, message: str, code: str = "") -> None:
        self.send(b"", status, {"X-Error-Message": message, "X-Error-Code": code})

    def is_known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def may_write(self) -> bool:
        if not self.is_known():
            self.refuse(401, "Invalid credentials in Authorization header")
        return self.is_known()

    def tree(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that the revision names, and its files; None when it was refused."""
        repo = self.server.repos.get(name)
        if repo is None or (repo.private and not self.is_known()):
            # the Hub does not tell a stranger which of the two it is
            self.refuse(404 if self.is_known() else 401, "Repository not found", "RepoNotFound")
            return None
        sha = repo.branches.get(revision, revision)
        if sha not in repo.commits:
            self.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            return None
        return sha, repo.commits[sha]

    # What the routes answer

    def create_repo(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.may_write():
            return
        if name in self.server.repos:
            self.send_json({"error": "exists", "url": f"{self.server.url}/{name}"}, 409)
            return
        self.server.create(name, private=asked.get("visibility") == "private")
        self.send_json({"url": f"{self.server.url}/{name}"})

    def create_branch(self, repo: str, branch: str) -> None:
        if not self.may_write():
            return
        branches = self.server.repos[repo].branches
        if branch in branches:
            self.send_json({"error": "exists"}, 409)
            return
        branches[branch] = branches["main"]
        self.send_json({})

    def validate_yaml(self) -> None:
        self.send_json({"warnings": [], "errors": []})

    def preupload(self, repo: str, revision: str) -> None:
        files = json.loads(self.body)["files"]
        modes = ["lfs" if file["path"].endswith(LARGE) else "regular" for file in files]
        self.send_json(
            {
                "files": [
                    {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
                    for file, mode in zip(files, modes)
                ]
            }
        )

    def lfs_batch(self, repo: str) -> None:
        objects = [
            {**item, "actions": {"upload": {"href": f"{self.server.store_url}/{item['oid']}"}}}
            for item in json.loads(self.body)["objects"]
        ]
        self.send_json({"transfer": "basic", "objects": objects})

    def put_large(self, oid: str) -> None:
        self.watch_token()
        if sha256(self.body) != oid:
            self.refuse(400, "checksum")
            return
        self.server.store[oid] = self.body
        self.send(b"")

    def get_large(self, oid: str) -> None:
        self.watch_token()
        self.send(self.server.store[oid], headers={"ETag": f'"{oid}"'})

    def watch_token(self) -> None:
        if "Authorization" in self.headers:
            self.server.leaked.append(f"{self.command} {self.path}")

    def commit(self, repo: str, revision: str) -> None:
        if not self.may_write():
            return
        files: dict[str, bytes] = {}
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                self.server.repos[repo].messages.append(value["summary"])
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.store[value["oid"]]
        sha = self.server.commit(repo, files, revision)
        url = f"{self.server.url}/{repo}/commit/{sha}"
        self.send_json({"success": True, "commitOid": sha, "commitUrl": url})

    def info(self, repo: str, revision: str = "main") -> None:
        if found := self.tree(repo, revision):
            self.send_json({"_id": "1", "id": repo, "sha": found[0], "siblings": []})

    def list_files(self, repo: str, revision: str) -> None:
        if found := self.tree(repo, revision):
            self.send_json([description(path, content) for path, content in found[1].items()])

    def resolve(self, repo: str, revision: str, path: str) -> None:
        found = self.tree(repo, revision)
        if not found:
            return
        sha, files = found
        if path not in files:
            self.refuse(404, "Entry not found", "EntryNotFound")
            return
        content = files[path]
        self.server.fetched.add(path)
        headers = {"X-Repo-Commit": sha}
        if not path.endswith(LARGE):
            self.send(content, headers={**headers, "ETag": f'"{git_oid(content)}"'})
            return
        oid = sha256(content)
        linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        linked["Location"] = f"{self.server.store_url}/{oid}"
        self.send(b"", 302, {**headers, **linked})

    def log_message(self, *_: object) -> None:
        """Not on the test's terminal."""


def description(path: str, content: bytes) -> dict[str, object]:
    size = len(content)
    large = {"lfs": {"oid": sha256(content), "size": size, "pointerSize": 134}}
    entry = {"type": "file", "path": path, "oid": git_oid(content), "size": size}
    return {**entry, **large} if path.endswith(LARGE) else entry


MODEL = r"/api/models/(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    ("POST", r"/api/repos/create", HubHandler.create_repo),
    ("POST", r"/api/validate-yaml", HubHandler.validate_yaml),
    ("POST", MODEL + r"/branch/(?P<branch>.+)", HubHandler.create_branch),
    ("POST", MODEL + r"/preupload/(?P<revision>.+)", HubHandler.preupload),
    ("POST", MODEL + r"/commit/(?P<revision>.+)", HubHandler.commit),
    ("GET", MODEL, HubHandler.info),
    ("GET", MODEL + r"/revision/(?P<revision>.+)", HubHandler.info),
    ("GET", MODEL + r"/tree/(?P<revision>.+)", HubHandler.list_files),
    ("POST", r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", HubHandler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>\w+)", HubHandler.put_large),
    ("GET", r"/lfs/(?P<oid>\w+)", HubHandler.get_large),
    (
        "GET",
        r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
        HubHandler.resolve,
    ),
]
