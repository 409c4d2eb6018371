"""The shapes of the API for its schema; requests are checked by the domain, which knows why."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.domain.roles import Role
from registry.domain.states import State


class Shape(serializers.Serializer[Any]):
    """A documented JSON object."""


class ModelIn(Shape):
    name = serializers.CharField(max_length=128)
    owner_team = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    tags = serializers.DictField(child=serializers.CharField(), required=False)
    reason = serializers.CharField(required=False)


class ModelChange(Shape):
    owner_team = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    tags = serializers.DictField(child=serializers.CharField(), required=False)
    reason = serializers.CharField(required=False)


class ModelOut(Shape):
    name = serializers.CharField()
    owner_team = serializers.CharField()
    description = serializers.CharField()
    tags = serializers.DictField(child=serializers.CharField())
    versions = serializers.IntegerField()
    aliases = serializers.DictField(child=serializers.IntegerField())
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ModelList(Shape):
    items = ModelOut(many=True)
    next = serializers.CharField(allow_null=True)


class VersionIn(Shape):
    artifact = serializers.FileField(help_text="The ONNX file.")
    reference = serializers.FileField(
        required=False, help_text="A .npz with X and optionally y, or CSV or Parquet."
    )
    metadata = serializers.JSONField(
        required=False,
        help_text="label, framework, git_sha, training_run, dataset_ref, dataset_digest, "
        "feature_schema_version, hyperparameters, dependencies, feature_names, metrics, tags, parent, notes.",
    )
    wait = serializers.BooleanField(
        required=False, help_text="false: answer at once with a pending version, inspected in the background."
    )
    reason = serializers.CharField(required=False)


class ReferenceIn(Shape):
    reference = serializers.FileField(
        help_text="A .npz with X, or CSV or Parquet with the feature names as columns."
    )
    reason = serializers.CharField(required=False)


class VersionChange(Shape):
    notes = serializers.CharField(required=False)
    tags = serializers.DictField(child=serializers.CharField(), required=False)
    reason = serializers.CharField(required=False)


class VersionSummary(Shape):
    model = serializers.CharField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    parent = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]
    digest = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    file_count = serializers.IntegerField(help_text="0 for a single file, else the files of the folder.")
    filename = serializers.CharField()
    reference_digest = serializers.CharField(help_text="The reference set; empty when none was given.")
    state = serializers.CharField(help_text=f"One of {', '.join(State)}.")
    problem = serializers.DictField(allow_null=True, help_text="Why it was refused.")
    format = serializers.CharField()
    framework = serializers.CharField()
    signature = serializers.DictField()
    feature_names = serializers.ListField(child=serializers.CharField())
    feature_schema_version = serializers.CharField()
    hyperparameters = serializers.DictField()
    git_sha = serializers.CharField()
    training_run = serializers.CharField()
    dataset_ref = serializers.CharField()
    dataset_digest = serializers.CharField()
    dependencies = serializers.ListField(child=serializers.CharField())
    tags = serializers.DictField(child=serializers.CharField())
    notes = serializers.CharField()
    findings = serializers.ListField(child=serializers.DictField())
    metrics = serializers.DictField(child=serializers.FloatField())
    aliases = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class VersionOut(VersionSummary):
    profile = serializers.DictField(allow_null=True)
    inspection = serializers.DictField()
    progress = serializers.DictField(
        allow_null=True,
        help_text="done_bytes, total_bytes, percent of what is verified; null when settled.",
    )


class RetentionIn(Shape):
    keep = serializers.IntegerField(min_value=0, help_text="Versions that served production; 0: everything.")
    reason = serializers.CharField(required=False)


class RemovalOut(Shape):
    number = serializers.IntegerField()
    reason = serializers.CharField()
    held = serializers.CharField(help_text="What keeps it all the same; empty: it goes.")


class RetentionOut(Shape):
    keep = serializers.IntegerField()
    removals = RemovalOut(many=True)


class UploadIn(Shape):
    size = serializers.IntegerField(min_value=1, help_text="Bytes.")
    digest = serializers.CharField(
        required=False, help_text="sha256:<64 hex digits>; left out, the server's word is recorded."
    )
    filename = serializers.CharField(required=False)


class UploadOut(Shape):
    id = serializers.UUIDField()
    size = serializers.IntegerField()
    digest = serializers.CharField()
    filename = serializers.CharField()
    part_size = serializers.IntegerField(help_text="Bytes of every part but the last.")
    parts = serializers.IntegerField()
    received = serializers.ListField(child=serializers.IntegerField(), help_text="Parts that are there.")
    complete = serializers.BooleanField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class PartOut(Shape):
    url = serializers.CharField(help_text="Where to PUT the part.")
    direct = serializers.BooleanField(help_text="Straight into the store: send no token there.")
    offset = serializers.IntegerField()
    size = serializers.IntegerField()


class ArrivedFile(Shape):
    path = serializers.CharField(help_text="Inside the folder, such as variables/variables.index.")
    upload = serializers.UUIDField()


class VersionOfUploads(Shape):
    upload = serializers.UUIDField(required=False, help_text="A completed upload: a single file.")
    files = ArrivedFile(many=True, required=False, help_text="Completed uploads: a folder.")
    reference = serializers.UUIDField(required=False, help_text="A completed upload of the reference set.")
    filename = serializers.CharField(required=False)
    metadata = serializers.JSONField(required=False)
    reason = serializers.CharField(required=False)


class FileOut(Shape):
    path = serializers.CharField()
    digest = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")


class FileList(Shape):
    items = FileOut(many=True)
    next = serializers.CharField(allow_null=True)


class VersionList(Shape):
    items = VersionSummary(many=True)
    next = serializers.CharField(allow_null=True)


class VersionRef(Shape):
    model = serializers.CharField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    digest = serializers.CharField()
    created_at = serializers.DateTimeField()
    deleted = serializers.BooleanField()


class DatasetOut(Shape):
    ref = serializers.CharField()
    digest = serializers.CharField()


class LineageOut(VersionRef):
    git_sha = serializers.CharField()
    training_run = serializers.CharField()
    dataset = DatasetOut()
    ancestors = VersionRef(many=True, help_text="What it was trained from, the nearest first; at most 50.")
    children = VersionRef(many=True, help_text="Versions trained from it; at most 100.")
    same_dataset = VersionRef(many=True, help_text="Other versions trained on the same data; at most 100.")


class PointIn(Shape):
    name = serializers.CharField()
    value = serializers.FloatField()
    step = serializers.IntegerField(required=False, min_value=0)


class PointsIn(Shape):
    points = PointIn(many=True)
    reason = serializers.CharField(required=False)


class PointOut(PointIn):
    at = serializers.DateTimeField()


class PointList(Shape):
    items = PointOut(many=True)
    next = serializers.CharField(allow_null=True)


class AliasIn(Shape):
    version = serializers.IntegerField(min_value=1)
    reason = serializers.CharField(required=False)


class AliasOut(Shape):
    name = serializers.CharField()
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class AliasList(Shape):
    items = AliasOut(many=True)
    next = serializers.CharField(allow_null=True)


class AuditOut(Shape):
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.DictField()
    action = serializers.CharField()
    target = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    reason = serializers.CharField()
    previous = serializers.CharField()
    digest = serializers.CharField()
    address = serializers.CharField(required=False)


class AuditList(Shape):
    items = AuditOut(many=True)
    next = serializers.CharField(allow_null=True)


class ChainOut(Shape):
    whole = serializers.BooleanField(allow_null=True, help_text="Null while there is more to check.")
    checked = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Entries that there were when the walk began.")
    fault = serializers.CharField(allow_null=True)
    at = serializers.IntegerField(allow_null=True)
    next = serializers.CharField(allow_null=True)


class TokenIn(Shape):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    team = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    reason = serializers.CharField(required=False)


class TokenOut(Shape):
    id = serializers.IntegerField()
    name = serializers.CharField()
    user = serializers.CharField()
    prefix = serializers.CharField(help_text="The first characters of the secret.")
    state = serializers.ChoiceField(["active", "expired", "revoked"])
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    team = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class TokenMade(TokenOut):
    secret = serializers.CharField(help_text="Shown this once.")


class TokenList(Shape):
    items = TokenOut(many=True)
    next = serializers.CharField(allow_null=True)


class GrantIn(Shape):
    user = serializers.CharField(help_text="A user or a service account.")
    role = serializers.ChoiceField([role.value for role in Role])
    team = serializers.CharField(required=False, help_text="On the models of this team.")
    model = serializers.CharField(required=False, help_text="On this model; without both: on everything.")
    reason = serializers.CharField(required=False)


class GrantOut(Shape):
    id = serializers.IntegerField()
    user = serializers.CharField()
    role = serializers.CharField()
    team = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    source = serializers.CharField(help_text="`manual`, or `oidc`: from the groups of single sign-on.")  # type: ignore[assignment]
    granted_by = serializers.CharField()
    granted_at = serializers.DateTimeField()


class GrantList(Shape):
    items = GrantOut(many=True)
    next = serializers.CharField(allow_null=True)


class AccountIn(Shape):
    name = serializers.CharField(max_length=128)
    description = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)


class AccountOut(Shape):
    name = serializers.CharField()
    description = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class AccountList(Shape):
    items = AccountOut(many=True)
    next = serializers.CharField(allow_null=True)


class HeldOut(Shape):
    role = serializers.CharField()
    team = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)


class MeOut(Shape):
    user = serializers.CharField()
    role = serializers.CharField(allow_null=True, help_text="The role on everything.")
    grants = HeldOut(many=True)
    permissions = serializers.ListField(child=serializers.CharField())
    token = serializers.CharField(allow_null=True)
