"""The portal of the web tests, for those of upkeep, and storage of both kinds."""

from tests.integration.test_storage import s3_endpoint, s3_url
from tests.integration.web.conftest import portal

__all__ = ["portal", "s3_endpoint", "s3_url"]
