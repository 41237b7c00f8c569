"""The command line, as its own tests run it."""

from tests.cli.conftest import bare, penstock

__all__ = ["bare", "penstock"]
