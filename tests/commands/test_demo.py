"""The demo: from nothing to an answered call, to the end, and back with all its data."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.commands.program import a_free_port, in_a_shell, ran, started
from tests.programs import needs
from tests.store.embedded_world import names, serving


@pytest.fixture
def short_place() -> Iterator[Path]:
    """A directory with a short name, that PostgreSQL's user can reach."""
    with tempfile.TemporaryDirectory(prefix="qt-", dir="/tmp") as place:
        os.chmod(place, 0o755)  # noqa: S103  That is the point.
        yield Path(place)


@needs("curl")
async def test_the_demo_does_what_it_prints_and_comes_back_with_all_its_data(tmp_path: Path, short_place: Path) -> None:
    data, port = tmp_path / "demo", a_free_port()
    own = {"TMPDIR": str(short_place)}  # For PostgreSQL's socket, whose path may not be long.

    async with started("demo", "--data", data, "--port", str(port), env=own) as demo:
        url = await demo.answers()
        assert url == f"http://127.0.0.1:{port}"
        printed = "\n".join(line for line in demo.out if re.match("curl |TASK=", line))
        *told, mine = map(json.loads, (await in_a_shell(printed)).splitlines())
        demo.ctrl_c()
        assert (await demo.ended()).code == 0
    filed, listed, decided = told
    assert filed["data"]["status"] == "pending"
    assert [one["accessRequestId"] for one in listed["data"]["approvals"]] == [filed["data"]["id"]]
    assert decided["data"]["accessRequestStatus"] == "approved"
    assert [one["status"] for one in mine["data"]["requests"]] == ["approved"]
    assert (serving(data), names(short_place)) == (set(), [])

    production = {"QUORATE_DATABASE_URL": f"postgresql://127.0.0.1:{a_free_port()}/production"}
    async with started("demo", "--data", data, "--port", str(port), env=own | production) as demo:
        await demo.answers()
        await everybody_signs_in(url, "\n".join(demo.out))
        again = json.loads(await in_a_shell(printed.splitlines()[-1]))
        assert again == mine
        demo.ctrl_c()
        assert (await demo.ended()).code == 0
    assert (serving(data), names(short_place)) == (set(), [])


async def everybody_signs_in(url: str, printed: str) -> None:
    """Sign everybody in with the password and with the key that the demo prints for them."""
    tenant = re.search(r"tenant \w+ \(([0-9a-f-]+)\)", printed)
    assert tenant is not None
    permissions = {}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=20) as http:
        for part, login, password, key in re.findall(
            r"^  (\w+) +(\S+) +password (\S+) +key (\S+)$", printed, re.MULTILINE
        ):
            body = {"email": login, "password": password}
            signed_in = await http.post("/auth/login", json=body, headers={"X-Tenant-ID": tenant[1]})
            assert signed_in.status_code == 200, signed_in.text
            me = (await http.get("/users/me", headers={"Authorization": f"Bearer {key}"})).json()["data"]
            assert me["email"] == login
            permissions[part] = set(me["permissions"])
    assert permissions.keys() == {"requester", "approver", "administrator"}
    assert "admin" in permissions["administrator"]
    assert "admin" not in permissions["requester"] | permissions["approver"]


async def test_the_demo_takes_no_database_of_ones_own() -> None:
    assert (await ran("demo", "--database-url", "postgresql://db/production")).code == 2
