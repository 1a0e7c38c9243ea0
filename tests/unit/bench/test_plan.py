"""How measures are told that a run could not take."""

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from screening.bench.plan import Bench, Plan, tell_latencies
from screening.bench.report import chart, document
from screening.inference.bundle import Bundle
from tests.bundles import make_random_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_random_bundle(tmp_path_factory.mktemp("bundles") / "random-1")


def begun(bundle: Bundle) -> Bench:
    bench = Bench(Plan(bundle, ("fp32",), (Path("picture.png"),), 1, "openvino"))
    bench.add("engine_fp32", "(b) bare engine, fp32", 64.0)
    return bench


@pytest.mark.parametrize("latencies", [[], [0.5, 0.25]])
def test_latencies_are_seconds_measured_or_not_and_no_bars_of_the_speeds(
    bundle: Bundle, latencies: list[float]
) -> None:
    bench = begun(bundle)
    tell_latencies(bench, latencies)
    found = document(bench, datetime(2026, 11, 29, tzinfo=UTC), "1.0")
    for name, median in (("urgent_p50", 0.25), ("urgent_p95", 0.5)):
        told = found["measures"][name]
        assert told["unit"] == "s"
        assert told["median"] == (median if latencies else None)
        assert ("give it more pictures" in told.get("left_out", "")) is not bool(latencies)
    assert len(ElementTree.fromstring(chart(found)).findall(".//{*}rect")) == 1


def test_a_speed_that_was_not_measured_has_no_bar(bundle: Bundle) -> None:
    bench = begun(bundle)
    bench.leave_out("script", "(a) script", "torch is not installed here")
    found = document(bench, datetime(2026, 11, 29, tzinfo=UTC), "1.0")
    assert found["measures"]["script"]["unit"] == "images/s"
    assert len(ElementTree.fromstring(chart(found)).findall(".//{*}rect")) == 1
