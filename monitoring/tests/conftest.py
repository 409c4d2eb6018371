"""The cast and the clients of the registry's tests."""

from registry.tests import conftest as registry_cast

cast = registry_cast.cast
store = registry_cast.store
api = registry_cast.api
web = registry_cast.web
