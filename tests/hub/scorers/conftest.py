"""A world whose classes stay the same for all tests of scorers."""

import pytest

from tests.hub.scorers.worlds import World


@pytest.fixture
def world() -> World:
    return World()
