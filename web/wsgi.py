"""The composition root of the web processes: `gunicorn -c python:web.gunicorn_conf web.wsgi:app`."""

from screening.logs import set_up_logs
from screening.settings import load_settings
from screening.system import open_system
from web import create_app

settings = load_settings()
set_up_logs(settings.log_level)
app = create_app(open_system(settings))
