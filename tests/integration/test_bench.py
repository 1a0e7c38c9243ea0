"""`screening bench` for real: a small network, few pictures, every measure taken."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bundles import make_random_bundle
from tests.integration.commands import screening


@pytest.mark.timeout(600)
def test_everything_is_measured_and_told(tmp_path: Path) -> None:
    bundle = make_random_bundle(tmp_path / "bundle", side=64)
    out = tmp_path / "out"
    options = ["--checkpoint", bundle.folder, "--count", 64, "--rounds", 1, "--out", out, "--json"]
    answer = screening("bench", *options, seconds=500)
    assert answer.code == 0, answer
    found = answer.json()
    measured = {name for name, measure in found["measures"].items() if measure["values"]}
    everything = {"script", "prepare", "engine_fp32", "whole_fp32", "servers_fp32", "again_fp32", "again_fp32_start"}
    assert everything <= measured
    assert all(found["measures"][name]["median"] > 0 for name in measured)
    urgent = found["measures"]["urgent_p95"]
    assert urgent["values"] or "give it more pictures" in urgent["left_out"]  # Few pictures may all go before one.
    assert urgent["unit"] == "s"
    assert {"web", "prepare", "screen", "upkeep", "beat", "decoding child"} <= set(found["peak_mb"])
    assert [ratio["at_least"] for ratio in found["ratios"]] == [1.2, 0.9, None]
    stages = found["stages_ms"]
    assert {
        "prepare, decode",
        "prepare, rendition",
        "screen, claim",
        "screen, load",
        "screen, infer",
        "screen, record",
    } <= set(stages["whole_fp32"])
    assert {stage for stage in stages["again_fp32"] if stage.startswith("prepare")} == set()
    assert all(took > 0 for took in stages["again_fp32"].values())
    assert json.loads((out / "bench.json").read_text()) == found
    assert len(ElementTree.parse(out / "bench.svg").findall(".//{*}rect")) == len(
        [m for m in found["measures"].values() if m["unit"] == "images/s"]
    )


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    answer = screening("bench", "--images", tmp_path)
    assert answer.code == 2
    assert "holds no pictures" in answer.err
