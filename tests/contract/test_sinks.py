"""What every destination does."""

import pytest

from hub.sinks import SINKS, open_sink
from hub.sinks.options import RoboflowOptions, SinkOptions, WebhookOptions
from tests.hub.delivering import parcel, picture
from tests.hub.sinks.receiver import receiving
from tests.roboflow_server import RoboflowServer


@pytest.fixture(params=sorted(SINKS))
def sink(request, tmp_path):
    with receiving() as receiver, RoboflowServer() as server:
        roboflow = RoboflowOptions(server.key, project="birds", url=server.url)
        yield open_sink(request.param, SinkOptions(tmp_path, roboflow, WebhookOptions(receiver.url)))


def test_it_goes_by_the_name_that_it_stands_under():
    assert all(make.name == name for name, make in SINKS.items())


def test_a_sample_sent_twice_has_one_id_and_leaves_one_copy(sink, tmp_path):
    first = sink.send(parcel())
    sink.flush()
    files = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert sink.send(parcel()) == first != ""
    sink.flush()
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == files


def test_two_samples_have_two_ids(sink):
    assert sink.send(parcel(picture(1))) != sink.send(parcel(picture(2)))


def test_a_flush_without_samples_does_nothing(sink, tmp_path):
    sink.flush()
    assert not list(tmp_path.iterdir())
