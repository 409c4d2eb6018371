"""Pages of versions: one version, its download, and the upload of a new one."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from registry import queries, services, transfer, wiring
from registry.domain.draft import VersionDraft
from registry.domain.roles import Permission
from registry.domain.text import whole_number
from registry.errors import DomainError
from registry.filtering import VERSION_FIELDS, version_filter
from registry.identity import actor_for, may, visible
from registry.lineage import lineage_of
from registry.models import Model, Version
from registry.services.arrivals import arrived
from registry.services.uploads import upload_of
from registry.web import presenting
from registry.web.door import explain, model_of, page
from registry.web.forms import ProfileForm, UploadForm
from registry.web.presenting import version_row


@page()
def search(request: HttpRequest) -> HttpResponse:
    """Versions of all models by a filter of the language of docs/api.md, newest first."""
    text, error, found = request.GET.get("filter", "")[:2000], None, None
    try:
        found = queries.search_page(
            where=version_filter(text),
            within=visible(request.user, "model__"),
            limit=25,
            after=whole_number(request.GET.get("after"), field="after"),
        )
    except DomainError as refused:
        error = refused
    rows = [version_row(item, None) for item in found.items] if found else []
    context = {
        "filter": text,
        "error": error,
        "rows": rows,
        "metric_names": sorted({name for row in rows for name in row.metrics})[:6],
        "older": urlencode({"filter": text, "after": found.next}) if found and found.next else "",
        "fields": VERSION_FIELDS,
    }
    return render(request, "registry/search.html", context, status=400 if error else 200)


# The browser sends larger files in parts, resumable; smaller ones are inspected before the answer.
IN_PARTS_FROM = 8 << 20


@page()
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Everything known about one version."""
    shown = queries.version_by_number(model_of(request), number)
    return _version_page(request, shown, ProfileForm())


@csrf_exempt
def attach_profile(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Computes the baseline profile from an uploaded reference set; the limit is set before CSRF reads it."""
    transfer.limit_uploads(request)
    return _attach_profile(request, name, number)


@page("POST", permission=Permission.REGISTER)
@csrf_protect
def _attach_profile(request: HttpRequest, name: str, number: int) -> HttpResponse:
    shown = queries.version_by_number(model_of(request), number)
    form = ProfileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            services.attach_profile(
                version=shown,
                reference=transfer.path_of(form.cleaned_data["reference"], field="reference"),
                store=wiring.artifact_store(),
                actor=actor_for(request),
            )
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, "Live traffic is compared with this profile from the next rollout on.")
            return redirect("registry:version", name, number)
    return _version_page(request, shown, form)


def _version_page(request: HttpRequest, shown: Version, form: ProfileForm) -> HttpResponse:
    model = shown.model
    champion = queries.champion(model)
    is_champion = champion is not None and champion.pk == shown.pk
    unserved = presenting.unserved([shown]).get(shown.pk, "")
    context = {
        "model": model,
        "version": shown,
        "champion": None if is_champion else champion,
        "is_champion": is_champion,
        "aliases": [alias.name for alias in shown.aliases.all()],
        "tensors": presenting.tensors(shown),
        "metrics": presenting.metric_lines(shown, champion),
        "charts": presenting.charts(shown),
        "facts": presenting.facts(shown),
        "files": queries.files_of(shown),
        "intake": queries.intake_of(shown),
        "hyperparameters": sorted(shown.hyperparameters.items()),
        "tags": sorted(shown.tags.items()),
        "lineage": lineage_of(shown),
        "parity": presenting.parity_lines(shown),
        "latency": presenting.latency_lines(shown),
        "may_register": may(request.user, Permission.REGISTER, model),
        "may_administer": may(request.user, Permission.ADMINISTER, model),
        "unserved": unserved,
        "may_start": shown.is_ready and not unserved and may(request.user, Permission.START_ROLLOUT, model),
        "profile_form": form,
        "may_profile": shown.is_ready and may(request.user, Permission.REGISTER, model),
    }
    return render(request, "registry/version.html", context, status=400 if form.errors else 200)


@page()
def download(request: HttpRequest, name: str, number: int) -> HttpResponseBase:
    """The artifact as a file."""
    found = queries.version_by_number(model_of(request), number)
    archive = request.GET.get("archive", "")
    return transfer.artifact_response(request, found, wiring.artifact_store(), archive)


@page()
def progress(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """How far the verification and inspection of a version is; a settled one makes its page load anew."""
    model = model_of(request)
    shown = queries.version_by_number(model, number)
    context = {"model": model, "version": shown, "intake": queries.intake_of(shown)}
    answer = render(request, "registry/_progress.html", context)
    if context["intake"] is None:
        answer["HX-Refresh"] = "true"
    return answer


@page()
def file(request: HttpRequest, name: str, number: int, path: str) -> HttpResponseBase:
    """One file of a folder."""
    found = queries.version_by_number(model_of(request), number)
    return transfer.file_of_version(request, found, path, wiring.artifact_store())


@csrf_exempt
def new_version(request: HttpRequest, name: str) -> HttpResponse:
    """The upload form. The limit is in place before the CSRF check reads the body; the check follows."""
    transfer.limit_uploads(request)
    return _new_version(request, name)


@page("GET", "HEAD", "POST", permission=Permission.REGISTER)
@csrf_protect
def _new_version(request: HttpRequest, name: str) -> HttpResponse:
    model = model_of(request)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if request.method == "POST" and form.is_valid():
        try:
            made = _register(request, model, form)
        except DomainError as error:
            explain(form, error)
        else:
            for twin in queries.twins_of(made):
                messages.info(request, twin)
            return redirect("registry:version", model.name, made.number)
    context = {
        "form": form,
        "model": model,
        "in_parts_from": IN_PARTS_FROM,
        "direct": settings.SLIPWAY_S3_BROWSER_ORIGIN,
    }
    return render(request, "registry/new_version.html", context, status=400 if form.errors else 200)


def _register(request: HttpRequest, model: Model, form: UploadForm) -> Version:
    artifact, reference = form.cleaned_data["artifact"], form.cleaned_data["reference"]
    upload, folder = form.cleaned_data["artifact_upload"], form.cleaned_data["folder_uploads"]
    if upload or folder:
        rows = form.cleaned_data["reference_upload"]
        return services.submit_version(
            model=model,
            artifact=arrived(model, upload, folder),
            filename=form.cleaned_data["folder_name"],
            reference=upload_of(model, rows, field="reference") if rows else None,
            draft=VersionDraft.parse(form.metadata()),
            store=wiring.artifact_store(),
            actor=actor_for(request),
        )
    return services.register_version(
        model=model,
        artifact=transfer.path_of(artifact, field="artifact"),
        filename=artifact.name or "",
        reference=transfer.path_of(reference, field="reference") if reference else None,
        draft=VersionDraft.parse(form.metadata()),
        store=wiring.artifact_store(),
        actor=actor_for(request),
    )
