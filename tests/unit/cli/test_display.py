"""What a terminal is shown."""

from screening.cli.display import printable, run_line

RUN = {
    "id": 4,
    "state": "running",
    "counts": {
        "total": 6000,
        "preparing": 10,
        "queued": 5,
        "screening": 5,
        "screened": 4210,
        "rejected": 14,
        "failed": 0,
        "likely": 211,
        "possible": 420,
        "flagged": 631,
        "refused": 2,
        "unpacking": 0,
    },
    "rate_per_s": 38.04,
    "eta_s": 47.2,
}


def test_names_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb\ufffdc\ufffdd"
    assert printable("Hüfte 手.png") == "Hüfte 手.png"


def test_a_run_in_one_line() -> None:
    assert run_line(RUN) == (
        "run 4 running, 4,210 of 6,000 screened, 631 flagged (211 likely, 420 possible), 20 waiting, "
        "14 cannot be screened, 2 refused at the door, 38.0/s, 47 s left"
    )


def test_a_run_that_ended_says_no_more_than_it_must() -> None:
    counts = {**dict.fromkeys(RUN["counts"], 0), "total": 3, "screened": 3}  # type: ignore[call-overload]
    ended = {**RUN, "state": "complete", "counts": counts, "rate_per_s": None, "eta_s": None}
    assert run_line(ended) == "run 4 complete, 3 of 3 screened, 0 flagged"
