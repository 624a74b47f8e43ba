"""Fixtures in parts: servers, apps, waiting."""

pytest_plugins = ["tests.fix_servers", "tests.fix_apps", "tests.fix_waiting"]
