"""The `screening` command. Each subcommand is imported only when it is called, so that every one starts quickly."""

from importlib import import_module

import click

from screening.private_files import keep_private

COMMANDS = {
    "up": ("screening.cli.up", "Start everything on this machine and keep it running."),
    "upload": ("screening.cli.upload", "Send files and folders of X-rays to be screened."),
    "status": ("screening.cli.status", "Show how far a run has come."),
    "worklist": ("screening.cli.worklist", "List scans ranked for follow-up."),
    "schedule": ("screening.cli.schedule", "Screen the archive again overnight: make, list, pause schedules."),
    "compare": ("screening.cli.compare", "Show what another checkpoint changes for scans that both have screened."),
    "archive": ("screening.cli.archive", "Have folders and buckets visited, so that what is new in them is screened."),
    "sign-in-link": ("screening.cli.tokens", "Print a fresh one-time link to the portal."),
    "user": ("screening.cli.people", "Add people, change what they may do, take their access away."),
    "token": ("screening.cli.tokens", "Add API tokens for programs."),
    "checkpoint": ("screening.cli.checkpoint", "List, verify, register and activate checkpoints."),
    "migrate": ("screening.cli.database", "Bring the database to the schema of this release."),
    "doctor": ("screening.cli.doctor", "Check the installation and say what is wrong."),
    "bench": ("screening.cli.bench", "Measure how fast this machine screens."),
    "clean-up": ("screening.cli.clean_up", "Find temporary, orphaned and expired objects; remove them with --apply."),
    "try-again": ("screening.cli.try_again", "Count what could not be prepared, by reason; try it again with --apply."),
    "scan": ("screening.cli.erase", "Erase a scan that must not be kept."),
    "run": ("screening.cli.erase", "Erase what came with a run that must not be kept."),
    "backup": ("screening.cli.backup", "Copy database and objects to a folder, while everything runs."),
    "restore": ("screening.cli.backup", "Bring a backup into an empty installation."),
    "health": ("screening.cli.health", "Check one kind of process on this machine, for health checks."),
}
"""Subcommand: the module whose attribute of the same name (with `_` for `-`) it is, and its line in the help."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fracture-screening", message="%(version)s")
def main() -> None:
    """Screen X-rays for bone fractures in bulk: send them, watch them being screened, read the ranked worklist."""
    keep_private()
