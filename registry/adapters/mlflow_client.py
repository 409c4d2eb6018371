"""Another MLflow server, read over its own REST protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError

from registry.errors import Unavailable

_PAGE = 100
_SECONDS = 60


class MlflowServer:
    """What an import reads: models, versions, runs, and files that the server hands out itself."""

    def __init__(self, url: str, *, token: str = "", user: str = "", password: str = "") -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        elif user:
            self._session.auth = (user, password)

    def models(self) -> Iterator[dict[str, Any]]:
        """Every registered model, by name."""
        yield from self._pages("registered-models/search", "registered_models", order_by="name ASC")

    def versions(self, name: str) -> Iterator[dict[str, Any]]:
        """Every version of the model that is not deleted, by number."""
        text = f"name = '{name}'" if "'" not in name else f'name = "{name}"'
        rows = self._pages("model-versions/search", "model_versions", filter=text)
        yield from sorted(rows, key=lambda row: int(row["version"]))

    def model(self, name: str) -> dict[str, Any]:
        """One model with its aliases."""
        found: dict[str, Any] = self._get("registered-models/get", name=name)["registered_model"]
        return found

    def run(self, uid: str) -> dict[str, Any] | None:
        """A run, None when there is none."""
        try:
            found: dict[str, Any] = self._get("runs/get", run_id=uid)["run"]
        except LookupError:
            return None
        return found

    def history(self, uid: str, key: str) -> Iterator[dict[str, Any]]:
        """Every point of a metric."""
        yield from self._pages("metrics/get-history", "metrics", run_id=uid, metric_key=key, size=10_000)

    def location(self, name: str, version: str) -> str:
        """The URI of a version's files."""
        found: str = self._get("model-versions/get-download-uri", name=name, version=version)["artifact_uri"]
        return found

    def files(self, location: str) -> Iterator[tuple[str, BinaryIO]]:
        """Relative path and content of each file at a location of the server's own artifact store."""
        root = urlsplit(location).path.strip("/")
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            path = f"{root}/{folder}".rstrip("/")
            for item in self._document(f"{self._files}?path={quote(path)}").get("files", []):
                name = f"{folder}/{item['path']}".lstrip("/")
                if item["is_dir"]:
                    waiting.append(name)
                    continue
                with self._answer(f"{self._files}/{quote(f'{root}/{name}')}", stream=True) as answer:
                    answer.raw.decode_content = True
                    yield name, cast(BinaryIO, _Body(answer.raw, name))

    @property
    def _files(self) -> str:
        return f"{self._url}/api/2.0/mlflow-artifacts/artifacts"

    def _pages(self, path: str, name: str, *, size: int = _PAGE, **query: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            extra = {"page_token": token} if token else {}
            answer = self._get(path, max_results=str(size), **query, **extra)
            yield from answer.get(name, [])
            token = answer.get("next_page_token", "")
            if not token:
                return

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        return self._document(f"{self._url}/api/2.0/mlflow/{path}", params=query)

    def _document(self, url: str, **options: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._answer(url, **options).json()
        except ValueError as error:
            raise Unavailable(f"{url} did not answer with JSON: is it an MLflow server?") from error
        return found

    def _answer(self, url: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.get(url, timeout=_SECONDS, **options)
        except requests.RequestException as error:
            raise Unavailable(f"The MLflow server at {self._url} did not answer: {error}.") from error
        if answer.status_code == 404:
            raise LookupError(url)
        if answer.status_code != 200:
            raise Unavailable(f"{url} answered {answer.status_code}: {answer.text[:300]}")
        return answer


class _Body:
    """A file as it arrives; a connection that breaks is `Unavailable`."""

    def __init__(self, raw: Any, name: str) -> None:
        self._raw, self._name = raw, name

    def read(self, size: int = -1) -> bytes:
        try:
            return cast(bytes, self._raw.read(size if size >= 0 else None))
        except (HTTPError, OSError) as error:
            raise Unavailable(f"{self._name} did not arrive to its end: {error}.") from error
