"""`screening bench`."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from screening.cli.display import print_json, print_table
from screening.cli.installation import explained

TOLERANCE = 0.1


@click.command
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of X-rays to measure with. [default: generated pictures]",
)
@click.option("--count", type=click.IntRange(min=64), default=600, show_default=True, help="So many pictures at most.")
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="How often each is measured.")
@click.option("--engine", type=click.Choice(("auto", "openvino", "torch")), default="auto", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A bundle's folder.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for bench.json and bench.svg.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An earlier bench.json: what became over 10% slower is told, with exit code 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@explained
def bench(
    images: Path | None,
    count: int,
    rounds: int,
    engine: Any,
    checkpoint: Path | None,
    out: Path | None,
    baseline: Path | None,
    as_json: bool,
) -> None:
    """Measure how fast this machine screens.

    Beside the whole system, the same pictures go through the script that a user would write, through the bare engine
    and through preparing alone, in turns. It takes minutes, and wants a machine that does nothing else.
    """
    from screening.bench.pictures import make_pictures, pictures_in
    from screening.bench.plan import Plan, run_bench
    from screening.bench.report import chart, document
    from screening.clock import utc_now
    from screening.inference.bundle import read_bundle
    from screening.settings import load_settings
    from screening.supervisor.installation import released_bundles

    bundle = read_bundle(checkpoint or released_bundles(load_settings().checkpoint_dir)[-1])
    with tempfile.TemporaryDirectory(prefix="screening-bench-") as made:
        try:
            pictures = pictures_in(images, count) if images else make_pictures(Path(made), count)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        plan = Plan(bundle, tuple(bundle.forms), tuple(pictures), rounds, engine)
        try:
            measured = run_bench(plan, lambda line: click.echo(line, err=True))
        except RuntimeError as error:
            raise click.ClickException(str(error)) from error
    found = document(measured, utc_now(), version("fracture-screening"))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (out / "bench.svg").write_text(chart(found), "utf-8")
    if as_json:
        print_json(found)
    else:
        _print(found)
    if baseline:
        _compare(json.loads(baseline.read_text("utf-8")), found["machine"], measured.measures)


def _print(found: dict[str, Any]) -> None:
    rows = [
        (m["word"], *(f"{m[name]:.2f}" for name in ("median", "lowest", "highest")), m["unit"])
        if m["median"] is not None
        else (m["word"], "-", "-", "-", m.get("left_out", ""))
        for m in found["measures"].values()
    ]
    print_table(("measure", "median", "lowest", "highest", ""), rows)
    ratios = [
        (r["word"], f"{r['value']:.2f}", f"at least {r['at_least']:g}" if r["at_least"] else "")
        for r in found["ratios"]
    ]
    print_table(("ratio of medians", "", "promised"), ratios)
    for name, stages in found["stages_ms"].items():
        heading = f"a stage of {found['measures'][name]['word']}"
        print_table((heading, "ms per scan"), [(stage, f"{took:.2f}") for stage, took in stages.items()])
    print_table(("process", "most memory"), [(kind, f"{peak:.0f} MiB") for kind, peak in found["peak_mb"].items()])


def _compare(stored: dict[str, Any], machine: dict[str, Any], measures: Any) -> None:
    from screening.bench.figures import other_machine, slower_than

    if warning := other_machine(stored.get("machine", {}), machine):
        click.echo(warning, err=True)
    slower = slower_than(stored, measures, TOLERANCE)
    for sentence in slower:
        click.echo(f"Slower than the baseline: {sentence}", err=True)
    if slower:
        raise SystemExit(1)
    click.echo(f"Nothing is over {TOLERANCE:.0%} slower than the baseline.", err=True)
