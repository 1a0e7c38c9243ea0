"""`screening schedule`: when the archive is screened again, and what came of it."""

from collections.abc import Callable
from typing import Any

import click

from screening.bands import BAND_FILTERS
from screening.cli.connection import Server, client_command
from screening.cli.display import print_json, print_table

PATH = "/api/v1/schedules"
SELECTION = ("min_age_days", "max_age_days", "body_part", "band", "run", "study", "not_screened_since")
identity = click.argument("schedule_id", metavar="ID", type=click.IntRange(min=1))
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group
def schedule() -> None:
    """Screen the archive again overnight: make, list, pause and delete schedules."""


def _times(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--until", "window_end", default="06:00", show_default=True, help="HH:MM; the run pauses then, every night."
        ),
        click.option(
            "--time-zone", default="UTC", show_default=True, help="In which both times are, such as Europe/Berlin."
        ),
        click.option(
            "--cron", required=True, help="Minute, hour, day of the month, month, day of the week: '0 22 * * 1-5'."
        ),
    ):
        command = option(command)
    return command


@schedule.command("add")
@click.argument("name")
@_times
@click.option("--checkpoint", default="candidate", show_default=True, help="The id of a checkpoint, or `candidate`.")
@click.option("--min-age-days", type=click.IntRange(min=0), help="Only scans received at least so long ago.")
@click.option("--max-age-days", type=click.IntRange(min=0), help="Only scans received at most so long ago.")
@click.option("--body-part", help="Only scans of this body part.")
@click.option("--band", type=click.Choice(BAND_FILTERS), help="Only scans in this band of the active checkpoint.")
@click.option("--run", type=click.IntRange(min=1), help="Only scans of this run.")
@click.option("--study", help="Only scans of this study, as the API names it.")
@click.option("--not-screened-since", metavar="DAY", help="Only scans that nothing has screened since, as 2026-03-01.")
@click.option("--most-scans", type=click.IntRange(min=1), help="So many of a night at most.")
@as_json_option
@client_command
def add(server: Server, name: str, as_json: bool, **given: Any) -> None:
    """Make a schedule called NAME. Its first windows are printed."""
    selection = {key: given.pop(key) for key in SELECTION}
    body = {"name": name, "selection": {key: value for key, value in selection.items() if value is not None}, **given}
    with server.connect() as connection:
        made = connection.post(PATH, body, again_after_doubt=False)
    if as_json:
        print_json(made)
        return
    click.echo(f"Schedule {made['id']} is made. It fires next:")
    _print_windows(made["next"])


@schedule.command("list")
@as_json_option
@client_command
def list_schedules(server: Server, as_json: bool) -> None:
    """List the schedules, with when each fires next and what came of its latest firing."""
    with server.connect() as connection:
        found = connection.get(PATH)
    if as_json:
        print_json(found)
    elif not found["items"]:
        click.echo("There are no schedules. `screening schedule add` makes one.")
    else:
        rows = [
            (
                s["id"],
                s["name"],
                f"{s['cron']} to {s['window_end']} {s['time_zone']}",
                s["checkpoint"],
                "paused" if s["paused"] else s["next"][0]["start"],
                _outcome(s["latest"]) if s["latest"] else "",
            )
            for s in found["items"]
        ]
        print_table(("id", "name", "when", "checkpoint", "next", "latest"), rows)


@schedule.command("show")
@identity
@as_json_option
@client_command
def show(server: Server, schedule_id: int, as_json: bool) -> None:
    """Show the schedule ID: its plan, its next windows, and the history of its firings."""
    with server.connect() as connection:
        found = connection.get(f"{PATH}/{schedule_id}")
        history = connection.get(f"{PATH}/{schedule_id}/firings", limit=20)
    if as_json:
        print_json({**found, "firings": history["items"]})
        return
    facts = {
        "name": found["name"],
        "when": f"{found['cron']} to {found['window_end']} {found['time_zone']}",
        "checkpoint": found["checkpoint"],
        "scans": ", ".join(f"{key} {value}" for key, value in found["selection"].items()) or "all",
        "most scans": found["most_scans"] or "no limit",
        "state": "paused" if found["paused"] else "on",
    }
    print_table(("", ""), list(facts.items()))
    if found["next"]:
        click.echo("Next:")
        _print_windows(found["next"])
    if history["items"]:
        rows = [(f["scheduled_for"], f["run"] or "", f["jobs"] or "", _outcome(f)) for f in history["items"]]
        print_table(("fired for", "run", "jobs", "outcome"), rows)


@schedule.command("preview")
@_times
@as_json_option
@client_command
def preview(server: Server, as_json: bool, **given: str) -> None:
    """Show when a schedule with these times would fire, without making one."""
    with server.connect() as connection:
        found = connection.get(f"{PATH}/preview", **given)
    if as_json:
        print_json(found)
    else:
        _print_windows(found["items"])


@schedule.command("pause")
@identity
@client_command
def pause(server: Server, schedule_id: int) -> None:
    """Fire no more until it is resumed; the run that is under way is paused."""
    _steer(server, schedule_id, "pause", "is paused")


@schedule.command("resume")
@identity
@client_command
def resume(server: Server, schedule_id: int) -> None:
    """Fire again, from the next time that is due."""
    _steer(server, schedule_id, "resume", "fires again")


@schedule.command("run-now")
@identity
@client_command
def run_now(server: Server, schedule_id: int) -> None:
    """Fire at once, until the window next ends."""
    _steer(server, schedule_id, "run-now", "fires now")


@schedule.command("delete")
@identity
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_command
def delete(server: Server, schedule_id: int, yes: bool) -> None:
    """Delete the schedule ID. Its history and its runs stay."""
    if not yes:
        click.confirm(f"Delete schedule {schedule_id}?", abort=True)
    with server.connect() as connection:
        connection.delete(f"{PATH}/{schedule_id}")
    click.echo(f"Schedule {schedule_id} is deleted.")


def _steer(server: Server, schedule_id: int, action: str, done: str) -> None:
    with server.connect() as connection:
        found = connection.post(f"{PATH}/{schedule_id}/{action}", again_after_doubt=action != "run-now")
    click.echo(f"Schedule {schedule_id} ({found['name']}) {done}.")


def _print_windows(windows: list[dict[str, str]]) -> None:
    print_table(("from", "until"), [(window["start"], window["until"]) for window in windows])


def _outcome(firing: dict[str, Any]) -> str:
    before = "caught up; " if firing["late"] and firing["note"] != "missed" else ""
    if firing.get("screened") is not None:  # An older server does not count.
        before += f"{firing['screened']:,} screened, {firing['rejected'] + firing['failed']:,} without a result; "
    return before + (firing["reason"] or ("at work" if firing["run"] else "about to begin"))
