"""What came of a firing, in a word that is kept and in words for people."""

from datetime import datetime

from screening.database.schedule_tables import Firing

NOTES = {
    "complete": "the run is complete",
    "window_over": "the window is over; the run goes on in the next one",
    "missed": "missed: nothing was running while its window was open",
    "nothing_to_do": "nothing to do: the checkpoint has screened every selected scan",
    "nothing_possible": "nothing to do: the selected scans that the checkpoint has not screened cannot be screened",
    "empty_selection": "no scan is selected",
    "no_candidate": "there is no candidate",
    "refused": "the selection cannot be used at present",
    "paused_by_person": "a person paused the run, so it was left alone",
    "run_cancelled": "a person cancelled the run",
    "followed": "the next firing took over",
    "schedule_paused": "the schedule was paused",
    "schedule_deleted": "the schedule was deleted",
    "clock_set_back": "the clock was set back",
}

WRONG = ("missed", "no_candidate", "refused", "nothing_possible", "empty_selection", "clock_set_back")
"""Notes of a night in which nothing was screened that somebody may have counted on."""


def end(firing: Firing, now: datetime, note: str) -> bool:
    """Close a firing. Returns that no work began."""
    firing.ended_at = now
    firing.note = note
    return False
