import pytest

from registry.domain.roles import (
    PERMISSIONS,
    Permission,
    Role,
    alias_permission,
    parse_scopes,
    permissions,
    strongest,
)
from registry.errors import Invalid


def test_each_role_holds_everything_of_the_one_below():
    ladder = [PERMISSIONS[role] for role in Role]
    assert all(lower < higher for lower, higher in zip(ladder, ladder[1:], strict=False))
    assert PERMISSIONS[Role.ADMIN] == set(Permission)


def test_only_release_managers_and_admins_promote():
    assert [role for role in Role if Permission.PROMOTE in PERMISSIONS[role]] == [
        Role.RELEASE_MANAGER,
        Role.ADMIN,
    ]


def test_the_strongest_of_several_groups_counts_and_foreign_groups_do_not():
    assert strongest(["viewer", "release_manager", "staff"]) is Role.RELEASE_MANAGER
    assert strongest(["staff"]) is None


def test_scopes_narrow_and_never_widen():
    assert permissions(Role.VIEWER, ["administer", "view"]) == {Permission.VIEW}
    assert permissions(Role.ADMIN, []) == frozenset()
    assert permissions(None) == frozenset()


def test_an_unknown_scope_is_named():
    with pytest.raises(Invalid, match="'fly' is not a scope"):
        parse_scopes(["view", "fly"])


def test_naming_the_champion_is_a_release_decision():
    assert alias_permission("champion") is Permission.PROMOTE
    assert alias_permission("candidate") is Permission.REGISTER
