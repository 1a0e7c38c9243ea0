"""The portal of the web tests, for those of upkeep."""

from tests.integration.web.conftest import portal

__all__ = ["portal"]
