"""Every page of the portal by the application's own map of addresses, so that a new page is never forgotten."""

from flask import Flask
from playwright.sync_api import APIResponse
from sqlalchemy import select

from screening.database.schedule_tables import Schedule
from screening.database.tables import Checkpoint, Prediction, Run, User
from screening.system import System

NOT_PAGES = ("/api/", "/static/", "/healthz", "/readyz", "/metrics", "/sign-in/")

STICKS_OUT = """
() => {
  const page = document.documentElement;
  if (page.scrollWidth <= page.clientWidth) return [];
  const elements = [...document.querySelectorAll("body *")].filter((element) => !element.closest(".scroll"));
  const outside = elements.filter((element) => element.getBoundingClientRect().right > page.clientWidth + 1);
  return [page.scrollWidth, ...outside.slice(0, 8).map((element) => element.outerHTML.slice(0, 120))];
}
"""
"""What makes a page wider than its window."""

OVERLAPS = """
() => {
  const seen = [...document.querySelectorAll(".over")].filter((element) => element.checkVisibility());
  const boxes = seen.map((element) => element.getBoundingClientRect());
  const found = [];
  for (let a = 0; a < boxes.length; a++) {
    for (let b = a + 1; b < boxes.length; b++) {
      const [one, other] = [boxes[a], boxes[b]];
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (across > 0 && down > 0) found.push([seen[a].textContent, seen[b].textContent]);
    }
  }
  return found;
}
"""
"""What lies over the picture and over each other."""


def values_of(system: System) -> dict[str, object]:
    """For each variable part of an address something that exists: the newest run, the most probable scan, and so on."""
    with system.database.read() as session:
        active = session.scalar(select(Checkpoint.id).where(Checkpoint.active))
        values = {
            "run_id": session.scalar(select(Run.id).where(Run.state == "complete").order_by(Run.id.desc()).limit(1)),
            "scan_id": session.scalar(
                select(Prediction.scan_id)
                .where(Prediction.checkpoint_id == active)
                .order_by(Prediction.probability.desc())
                .limit(1)
            ),
            "schedule_id": session.scalar(select(Schedule.id).limit(1)),
            "checkpoint_id": session.scalar(select(Checkpoint.id).order_by(Checkpoint.active, Checkpoint.id).limit(1)),
            "user_id": session.scalar(select(User.id).order_by(User.id).limit(1)),
        }
    return {name: value for name, value in values.items() if value is not None}


def every_page(app: Flask, values: dict[str, object]) -> tuple[dict[str, str], list[str]]:
    """Addresses by endpoint, and the rules of which a variable part has no value."""
    pages, unknown = {}, []
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.startswith(NOT_PAGES):
            continue
        if rule.arguments <= values.keys():
            pages[rule.endpoint] = adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments})
        else:
            unknown.append(rule.rule)
    return dict(sorted(pages.items(), key=lambda item: item[1])), unknown


def is_page(answer: APIResponse) -> bool:
    """Whether it is a whole page, and not a download or a part of a page."""
    return answer.headers["content-type"].startswith("text/html") and answer.text().startswith("<!doctype html")
