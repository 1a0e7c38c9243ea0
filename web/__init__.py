"""The Flask portal and the HTTP API. `create_app` puts it together from a system that is given to it."""

from datetime import timedelta

from flask import Flask
from flask_limiter import Limiter

from screening.system import System
from web import health, metrics
from web.access import register_access
from web.api import register_api
from web.current import EXTENSION
from web.headers import register_headers
from web.pages import register_pages
from web.plain_text import register_plain_text
from web.problems import register_problems

MOST_BODY_BYTES = 16 << 20
"""Of every request but an upload of files, which has limits of its own."""


def create_app(system: System) -> Flask:
    """The WSGI application. Nothing is contacted until a request comes."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=system.settings.secret_key.get_secret_value(),
        # Browsers share cookies between the ports of a host, where another installation may listen.
        SESSION_COOKIE_NAME=f"screening_session_{system.settings.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=system.settings.https,
        # The session itself is a row of the database: the cookie need not be sent anew to keep it.
        PERMANENT_SESSION_LIFETIME=timedelta(hours=system.settings.session_hours),
        SESSION_REFRESH_EACH_REQUEST=False,
        MAX_CONTENT_LENGTH=MOST_BODY_BYTES,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
        # Tries are counted in each process by itself: a few more of them, but a sign-in never needs Redis.
        RATELIMIT_STORAGE_URI="memory://",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = system
    register_headers(app, system.settings)
    register_problems(app)
    register_access(app)
    register_plain_text(app)
    limiter = Limiter(key_func=_nobody, app=app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    register_api(app)
    register_pages(app, limiter)
    return app


def _nobody() -> str:
    """The default key of a limit; every limit in use names its own."""
    return "everybody"
