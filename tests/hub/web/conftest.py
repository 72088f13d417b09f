"""The web app over real parts, asked without a socket."""

import pytest

from hub.web import create_app
from tests.hub.web.making import TOKEN, Parts


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def client(parts):
    """Of a hub without a token."""
    return create_app(parts).test_client()


@pytest.fixture
def guarded(tmp_path):
    """Of a hub that has one."""
    made = Parts(tmp_path, TOKEN)
    yield create_app(made).test_client()
    made.store.close()
