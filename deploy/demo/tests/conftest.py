from pathlib import Path

import pytest

from deploy.demo.models import build


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every trained model; built once, it takes some seconds."""
    folder = tmp_path_factory.mktemp("models")
    build.train(folder)
    return folder
