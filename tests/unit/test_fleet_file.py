"""Fleet files: what they mean, and that nothing is started that is not wholly understood."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from tenure.errors import ConfigurationError, InvalidInput
from tenure.supervisor import Group, Scale, Supervisor
from tenure.supervisor.exposition import _FAMILIES
from tenure.supervisor.fleet_file import _KEYS, read_groups
from tenure.supervisors import shared_out

DEPLOY = Path(__file__).parents[2] / "deploy"
LEAST = '[groups.press]\napp = "shop:app"\n'


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> list[Group]:
        path = tmp_path / "fleet.toml"
        path.write_text(text)
        return read_groups(path, "me")

    return read


def test_the_least_that_a_group_says(read):
    [group] = read(LEAST)
    assert (group.at_first, group.least, group.most, group.slots, group.scale) == (1, 1, 1, 10, None)
    assert group.command() == [
        *(sys.executable, "-m", "tenure", "worker"),
        *("--concurrency=10", "--workers=1", "--label=group=press", "--label=supervisor=me", "--type=default"),
        *("--name=press", "--log-level=info", "--log-format=text", "--", "shop:app"),
    ]


def test_all_that_it_may_say(read):
    [group] = read(
        LEAST
        + """
        min = 2
        max = 9
        workers_per_process = 3
        queues = ["a", "b"]
        concurrency = 4
        cpu_processes = 2
        capabilities = ["gpu", "region:eu"]
        labels = { zone = "b; rm -rf /" }
        type = "printing"
        name = "--help"
        grace_seconds = 5
        recycle_after_jobs = 1000
        recycle_rss_mb = 512
        wedged_seconds = 30
        start_seconds = 20
        log_level = "debug"
        log_format = "json"
        [groups.press.scale]
        wait_seconds = 1
        utilization = 0.5
        """
    )
    assert (group.at_first, group.least, group.most, group.slots) == (2, 2, 9, 12)
    assert group.scale == Scale(wait_seconds=1, utilization=0.5)
    # one argument each: whatever a value holds, no shell reads it, and no option is made of it
    assert "--label=zone=b; rm -rf /" in group.command()
    assert "--name=--help" in group.command()
    assert [one for one in group.command() if one.startswith("--capability")] == [
        "--capability=gpu",
        "--capability=region:eu",
    ]


@pytest.mark.parametrize(
    ("text", "field", "limit"),
    [
        ("groups = {}", "groups", "a table of at least one group"),
        ("", "groups", "a table"),
        ("groups = 3", "groups", "a table"),
        ("groups.press = 3", "groups.press", "a table"),
        (LEAST + "colour = 1", "a key of groups.press", "one of app, processes"),
        (LEAST + "proceses = 1", "a key of groups.press", "did you mean processes?"),
        (LEAST + "[other]", "a key of the fleet file", "one of groups"),
        ("[groups.press]", "groups.press.app", "module:attribute"),
        ('[groups.press]\napp = "os;system"', "groups.press.app", "module:attribute"),
        ('[groups."a b"]\napp = "shop:app"', "groups.a b.name", "1 to 128 letters"),
        (LEAST + "processes = -1", "groups.press.processes", "a whole number from 0 to 1000"),
        (LEAST + "processes = true", "groups.press.processes", "a whole number"),
        (LEAST + "processes = 5\nmax = 4", "groups.press.processes", "between min and max, 5 and 4"),
        (LEAST + "min = 5\nmax = 4", "groups.press.processes", "between min and max, 5 and 4"),
        (LEAST + "max = 0", "groups.press.max", "a whole number from 1 to 1000"),
        (LEAST + "concurrency = 0", "groups.press.concurrency", "a whole number from 1 to 10000"),
        (LEAST + "workers_per_process = 0", "groups.press.workers_per_process", "a whole number from 1 to 1000"),
        (LEAST + 'queues = "a"', "groups.press.queues", "a list of names"),
        (LEAST + 'queues = ["a:b"]', "groups.press.queues", "1 to 128 letters"),
        (LEAST + 'capabilities = ["a b"]', "groups.press.capabilities", "1 to 64 letters"),
        (LEAST + "capabilities = [1]", "groups.press.capabilities", "1 to 64 letters"),
        (LEAST + 'labels = { group = "x" }', "groups.press.labels", "without group and supervisor"),
        (LEAST + "labels = { zone = 1 }", "groups.press.labels", "text of 1 to 255 bytes"),
        (LEAST + "grace_seconds = -1", "groups.press.grace_seconds", "a number of seconds"),
        (LEAST + "wedged_seconds = 0", "groups.press.wedged_seconds", "a number of seconds from 2"),
        (LEAST + "recycle_rss_mb = 0", "groups.press.recycle_rss_mb", "a whole number from 1"),
        (LEAST + "scale = {}", "groups.press.queues", "given where a scale follows their load"),
        (LEAST + 'queues = ["a"]\nscale = { factor = 2 }', "a key of groups.press.scale", "one of wait_seconds"),
        (LEAST + 'queues = ["a"]\nscale = { utilization = 2 }', "groups.press.scale.utilization", "at most 1"),
        (LEAST + 'queues = ["a"]\nscale = 2', "groups.press.scale", "a table"),
        (LEAST + "log_level = 3", "groups.press.log_level", "text"),
    ],
)
def test_what_is_refused_names_its_place_its_limit_and_its_value(read, text, field, limit):
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert caught.value.field == field
    assert limit in caught.value.limit


def test_what_is_no_file_and_no_toml(read, tmp_path):
    with pytest.raises(ConfigurationError, match="the fleet file is no TOML"):
        read("[groups")
    with pytest.raises(ConfigurationError, match="the fleet file cannot be read"):
        read_groups(tmp_path / "nowhere.toml")


def test_two_groups_of_one_name_are_refused():
    with pytest.raises(InvalidInput, match="groups must be groups of different names: 'a'"):
        Supervisor([Group(name="a", app="x:y"), Group(name="a", app="x:z")])


def test_only_what_changes_a_process_replaces_it():
    group = Group(name="a", app="x:y", processes=2)
    assert group.same_processes(Group(name="a", app="x:y", processes=5, recycle_rss_mb=9, wedged_seconds=3))
    assert not group.same_processes(Group(name="a", app="x:y", processes=2, concurrency=11))


def test_processes_are_shared_out_by_the_most_of_each_host():
    assert shared_out(5, {"a": 8, "b": 2}) == {"a": 4, "b": 1}
    assert shared_out(0, {"a": 8, "b": 2}) == {"a": 0, "b": 0}
    assert shared_out(10, {"a": 8, "b": 2}) == {"a": 8, "b": 2}
    for processes in range(11 + 1):
        shares = shared_out(processes, {"a": 5, "b": 3, "c": 3})
        assert sum(shares.values()) == min(processes, 11)
        assert all(shares[one] <= most for one, most in {"a": 5, "b": 3, "c": 3}.items())
    with pytest.raises(InvalidInput, match="processes must be a whole number from 0 to 10: 11"):
        shared_out(11, {"a": 8, "b": 2})


def test_the_file_and_the_manifest_that_are_given_as_examples():
    press, render = read_groups(DEPLOY / "fleet.toml")
    assert (press.least, press.most, render.most) == (2, 8, 1)
    page = (DEPLOY.parent / "docs" / "fleet.md").read_text()
    [shown] = re.findall(r"```toml\n# fleet.toml\n(.*?)```", page, re.DOTALL)
    assert set(tomllib.loads(shown)["groups"]) == {"press", "render"}
    for key in _KEYS:
        assert f"`{key}`" in page
    for field in fields(Scale):
        assert f"`{field.name}`" in page
    manifest = yaml.safe_load((DEPLOY / "keda.yaml").read_text())
    [trigger] = manifest["spec"]["triggers"]
    assert re.findall(r"tenure_\w+", trigger["metadata"]["query"]) == ["tenure_workers_desired"]
    assert set(re.findall(r"`(tenure_(?:workers|jobs|oldest|stores)\w*)", page)) == set(_FAMILIES)
