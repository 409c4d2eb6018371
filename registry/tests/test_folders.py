"""Folders as artifacts: stored file by file, downloaded one by one or whole."""

import io
import tarfile
import zipfile

import pytest

from registry import queries, services
from registry.domain.actor import SYSTEM
from registry.domain.manifest import FileEntry, checked_path, manifest_of
from registry.errors import Invalid, NotFound
from registry.models import Model, Version, VersionFile
from registry.services.content import content_of, store_folder, store_path
from registry.tests import onnx_files

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "churn"
    (place / "extra").mkdir(parents=True)
    onnx_files.save_apart(onnx_files.linear(), place / "model.onnx")
    (place / "extra" / "notes.txt").write_text("trained on Monday")
    return place


@pytest.fixture
def registered(model, store, folder):
    return services.register_version(model=model, artifact=folder, store=store, actor=SYSTEM)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "C:/x", "a\0b", "a\nb", "x" * 513, "a/" + "é" * 200, "a ", None, 7, "\ud800"],
)  # fmt: skip
def test_a_path_that_could_leave_its_folder_is_refused(path):
    with pytest.raises(Invalid, match="cannot be a file's path"):
        checked_path(path)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ([], "folder is empty"),
        (["a", "A"], "the same place"),
        (["a", "a/b"], "a file and a folder at once"),
        (["a/x", "A/y/z", "a/Y"], "a file and a folder at once"),
        ([f"f{i}" for i in range(10_001)], "at most 10000"),
    ],
)
def test_a_manifest_has_one_meaning_on_every_system(paths, told):
    with pytest.raises(Invalid, match=told):
        manifest_of(FileEntry(path, DIGEST, 1) for path in paths)


def test_the_digest_of_a_manifest_does_not_depend_on_the_order_of_its_files():
    entries = [FileEntry("b", DIGEST, 2), FileEntry("a/c", DIGEST, 1)]
    assert manifest_of(entries).digest == manifest_of(reversed(entries)).digest
    assert manifest_of(entries).size == 3


def test_a_folder_is_registered_as_a_manifest_of_its_files(registered, store):
    version = queries.version_by_number(registered.model, 1)
    assert (version.format, version.file_count, version.filename) == ("onnx", 3, "churn")
    content = content_of(version)
    assert [file.path for file in content.files] == ["extra/notes.txt", "model.onnx", "weights.bin"]
    with store.open(version.digest) as stream:
        assert stream.read() == manifest_of(content.files).to_bytes()
    assert manifest_of(content.files).digest == version.digest
    assert version.size == sum(file.size for file in content.files)
    assert version.inspection["parameters"] == 3


def test_files_that_two_folders_share_are_stored_once(registered, model, store, folder):
    before = set(store.digests())
    (folder / "extra" / "notes.txt").write_text("trained on Tuesday")
    services.register_version(model=model, artifact=folder, store=store, actor=SYSTEM)
    assert len(set(store.digests()) - before) == 2, "the changed file and the new manifest"


def test_a_folder_is_registered_from_files_that_are_stored_already(model, store, folder):
    files = [(name, store_path(folder / name, store)) for name in ("model.onnx", "weights.bin")]
    content = store_folder(files, store)
    version = services.register_version(model=model, artifact=content, store=store, actor=SYSTEM)
    assert version.file_count == 2 and version.format == "onnx"
    lost = store_folder([*files, ("more", type(content)(DIGEST, 1))], store)
    with pytest.raises(NotFound):
        services.register_version(model=model, artifact=lost, store=store, actor=SYSTEM)


def test_a_refused_folder_leaves_nothing_behind(model, store, folder):
    (folder / "weights.bin").write_bytes(b"1")
    with pytest.raises(Invalid, match="too short"):
        services.register_version(model=model, artifact=folder, store=store, actor=SYSTEM)
    assert not list(store.digests()) and not VersionFile.objects.exists()
    assert not Version.objects.exists() and Model.objects.get().last_number == 0


def test_a_folder_with_a_link_is_not_followed(model, store, folder):
    (folder / "secrets").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="link or a device"):
        services.register_version(model=model, artifact=folder, store=store, actor=SYSTEM)


def test_a_folder_is_listed_and_downloaded_file_by_file(api, registered, folder):
    client = api("viewer")
    items = client.get("/api/v1/models/churn/versions/1/files").json()["items"]
    assert [item["path"] for item in items] == ["extra/notes.txt", "model.onnx", "weights.bin"]
    answer = client.get("/api/v1/models/churn/versions/1/files/extra/notes.txt")
    assert b"".join(answer.streaming_content) == b"trained on Monday"
    assert answer["ETag"] == f'"{items[0]["digest"]}"'
    again = client.get(answer.wsgi_request.path, HTTP_IF_NONE_MATCH=answer["ETag"])
    assert again.status_code == 304
    for path in ("none", "extra", "extra/../model.onnx", "%00"):
        assert client.get(f"/api/v1/models/churn/versions/1/files/{path}").status_code == 404


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_folder_is_downloaded_as_an_archive(api, registered, folder, kind):
    answer = api("viewer").get(f"/api/v1/models/churn/versions/1/artifact?archive={kind}")
    assert answer["Content-Disposition"] == f'attachment; filename="churn-1.{kind}"'
    content = io.BytesIO(b"".join(answer.streaming_content))
    if kind == "tar":
        with tarfile.open(fileobj=content) as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive}
    else:
        with zipfile.ZipFile(content) as archive:
            assert archive.testzip() is None
            found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {
        name: (folder / name).read_bytes() for name in ("extra/notes.txt", "model.onnx", "weights.bin")
    }


def test_an_archive_of_an_unknown_kind_is_refused(api, registered):
    answer = api("viewer").get("/api/v1/models/churn/versions/1/artifact?archive=rar")
    assert (answer.status_code, answer.json()["field"]) == (400, "archive")


def test_the_page_of_a_folder_lists_its_files(web, registered):
    page = web("viewer").get("/models/churn/versions/1/").content.decode()
    assert "/models/churn/versions/1/files/extra/notes.txt" in page and "3 files" in page


def test_the_inspection_names_the_files_that_hold_the_tensors(registered):
    assert registered.inspection["external_data"] == {"files": ["weights.bin"], "bytes": 12}
