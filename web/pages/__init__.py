"""The portal's pages, one file per group."""

from flask import Flask, g, request
from flask_limiter import Limiter

from web.access import may
from web.pages import account, compare, home, model, people, runs, scans, schedules, signin, status, worklist
from web.presentation import register_filters

THEMES = ("dark", "light")


def register_pages(app: Flask, limiter: Limiter) -> None:
    register_filters(app)
    for module in (home, runs, worklist, schedules, scans, model, compare, status, people, account, signin):
        app.register_blueprint(module.blueprint)
    signin.limit_tries(app, limiter)
    account.limit_tries(app, limiter)

    @app.context_processor
    def everywhere() -> dict[str, object]:
        """What every template may use."""
        theme = request.cookies.get("theme", "")
        return {
            "me": g.get("identity"),
            "may": may,
            "theme": theme if theme in THEMES else THEMES[0],
        }
