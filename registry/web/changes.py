"""Changing models and versions in the browser: a question or a form, one service, and back to the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from registry import queries, services
from registry.domain.names import CHAMPION
from registry.domain.roles import Permission, alias_permission
from registry.errors import DomainError
from registry.identity import actor_for, require, require_move
from registry.models import Model, Version
from registry.web.change_forms import AliasForm, ChangeModelForm, NotesForm, ReasonForm
from registry.web.door import explain, in_dialog, model_of, page

_FORM = ("GET", "HEAD", "POST")
_RELEASES = "Moving champion says which version is in production to people and scripts; it moves no traffic."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the title, which is the button's text too, what will happen, and where it leads."""

    title: str
    consequences: tuple[str, ...]
    back: str
    done: str
    danger: bool = False
    after: str = ""


@page(*_FORM, permission=Permission.REGISTER)
def change_model(request: HttpRequest, name: str) -> HttpResponse:
    """Description, tags and owner team of a model."""
    with _held(request):
        return _change_model(request, queries.model_by_name(name))


def _change_model(request: HttpRequest, model: Model) -> HttpResponse:
    name = model.name
    form = ChangeModelForm(_posted(request), initial=ChangeModelForm.of(model))
    asked = Question(f"Change {name}", (), _model(name), f"{name} is changed.")

    def act(said: dict[str, Any]) -> None:
        given = _given(request, said, model)
        if given["owner_team"] is not None:
            require_move(request.user, model, given["owner_team"])
        services.update_model(model=model, actor=actor_for(request), **given)

    return _asked(request, form, asked, act)


@page(*_FORM, permission=Permission.ADMINISTER)
def delete_model(request: HttpRequest, name: str) -> HttpResponse:
    """Hide a model."""
    model = model_of(request)
    told = (
        "Its page, its versions and its aliases are no longer shown; the name may be given again.",
        "The record and the audit trail stay. It is refused while an endpoint serves one of its versions.",
    )
    asked = Question(
        f"Delete {name}",
        told,
        _model(name),
        f"{name} is deleted.",
        danger=True,
        after=reverse("registry:models"),
    )
    return _asked(
        request,
        ReasonForm(_posted(request)),
        asked,
        lambda said: services.delete_model(model=model, actor=actor_for(request), **said),
    )


@page(*_FORM, permission=Permission.REGISTER)
def annotate(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Notes and tags of a version."""
    with _held(request):
        return _annotate(request, queries.plain_version(model_of(request), number))


def _annotate(request: HttpRequest, version: Version) -> HttpResponse:
    name, number = version.model.name, version.number
    form = NotesForm(_posted(request), initial=NotesForm.of(version))
    asked = Question("Change notes and tags", (), _version(name, number), "Notes and tags are changed.")
    return _asked(
        request,
        form,
        asked,
        lambda said: services.annotate_version(
            version=version, actor=actor_for(request), **_given(request, said, version)
        ),
    )


@page(*_FORM, permission=Permission.ADMINISTER)
def delete_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Hide a version."""
    version = queries.plain_version(model_of(request), number)
    told = (
        f"Version {number} is no longer shown, downloaded or rolled out; its number is not given again.",
        "Its content is freed 30 days later, unless another version has the same.",
        "It is refused while an alias names it, an endpoint serves it, or one could be rolled back to it.",
    )
    asked = Question(
        f"Delete v{number}",
        told,
        _version(name, number),
        f"Version {number} is deleted.",
        danger=True,
        after=_model(name),
    )
    return _asked(
        request,
        ReasonForm(_posted(request)),
        asked,
        lambda said: services.delete_version(version=version, actor=actor_for(request), **said),
    )


@page(*_FORM, permission=Permission.REGISTER)
def set_alias(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Point an alias at a version."""
    model = model_of(request)
    version = queries.plain_version(model, number)
    taken = [alias.name for alias in queries.aliases_of(model)]
    form = AliasForm(_posted(request), taken=taken)
    asked = Question(f"Name v{number}", (_RELEASES,), _version(name, number), "The alias is set.")

    def act(said: dict[str, Any]) -> None:
        require(request.user, alias_permission(said["alias"]), model)
        services.set_alias(
            model=model, name=said["alias"], version=version, actor=actor_for(request), reason=said["reason"]
        )

    return _asked(request, form, asked, act)


@page(*_FORM, permission=Permission.REGISTER)
def delete_alias(request: HttpRequest, name: str, alias: str) -> HttpResponse:
    """Take an alias away."""
    model = model_of(request)
    require(request.user, alias_permission(alias), model)
    told: tuple[str, ...] = (
        f"{alias} then names no version of {name}; scripts that ask for it find nothing.",
    )
    if alias == CHAMPION:
        told = (*told, "Other versions are then compared with none.")
    asked = Question(f"Remove {alias}", told, _model(name), f"The alias {alias} is removed.", danger=True)
    return _asked(
        request,
        ReasonForm(_posted(request)),
        asked,
        lambda said: services.delete_alias(model=model, name=alias, actor=actor_for(request), **said),
    )


def _asked(
    request: HttpRequest, form: Form, asked: Question, act: Callable[[dict[str, Any]], object]
) -> HttpResponse:
    """The form, in the dialog or as a page; once it is valid, `act`; a refusal is explained on the form."""
    if request.method == "POST" and form.is_valid():
        try:
            act(form.cleaned_data)
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, asked.done)
            to = asked.after or asked.back
            return HttpResponseClientRedirect(to) if getattr(request, "htmx", False) else redirect(to)
    dialog = in_dialog(request)
    context = {"form": form, "asked": asked, "dialog": dialog, "action": request.path}
    template = "registry/_change.html" if dialog else "registry/change.html"
    return render(request, template, context, status=400 if form.errors else 200)


@contextmanager
def _held(request: HttpRequest) -> Iterator[None]:
    """What is read in the block stays so until the block's end: nobody else saves the form meanwhile."""
    if request.method != "POST":
        yield
        return
    with transaction.atomic():
        Model.objects.select_for_update(no_key=True).filter(pk=model_of(request).pk).first()
        yield


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _given(request: HttpRequest, said: dict[str, Any], row: Model | Version) -> dict[str, Any]:
    """What changes; what was not sent or stays as it is becomes None, which services leave alone."""
    same = {name for name in said if name not in request.POST or said[name] == getattr(row, name, ...)}
    return {name: None if name in same else value for name, value in said.items()} | {
        "reason": said["reason"]
    }


def _model(name: str) -> str:
    return reverse("registry:model", args=[name])


def _version(name: str, number: int) -> str:
    return reverse("registry:version", args=[name, number])
