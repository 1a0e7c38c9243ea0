"""The portal of the web tests, for those of the comparison."""

from tests.integration.web.conftest import portal

__all__ = ["portal"]
