"""The receiver's guide says what is so: its code is run on what we send, and its table is the list of events."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from quorate.app.sending import Parcel
from quorate.app.webhooks import mint
from quorate.domain.messages import EVENTS
from quorate.workers.senders.webhook import headers
from tests.docs.pages import ROOT, blocks

PAGE = (ROOT / "docs" / "webhooks.md").read_text("utf-8")
BODY = '{"type":"grant.expired","data":{"note":"ü"}}'.encode()


def given(name: str) -> Any:
    """A function of the page's, made by running the block it stands in."""
    [text] = [block.text for block in blocks(PAGE) if block.kind == "python" and f"def {name}(" in block.text]
    made: dict[str, Any] = {}
    exec(text, made)  # noqa: S102  # It is our own.
    return made[name]


def sent(secret: str, at: datetime) -> dict[str, str]:
    return headers(Parcel(uuid4(), uuid4(), uuid4(), "", BODY, secret, 1, at, at), at)


def test_the_verification_of_the_page_takes_what_we_send_and_nothing_else() -> None:
    is_genuine, secret = given("is_genuine"), mint()
    now = datetime.fromtimestamp(time.time(), UTC)
    good = sent(secret, now)

    assert is_genuine(secret, good, BODY)
    assert is_genuine(secret, good | {"webhook-signature": f"v1,AAAA {good['webhook-signature']}"}, BODY)
    assert not is_genuine(mint(), good, BODY)
    assert not is_genuine(secret, good, BODY + b" ")
    assert not is_genuine(secret, good | {"webhook-id": str(uuid4())}, BODY)
    assert not is_genuine(secret, sent(secret, now - timedelta(minutes=6)), BODY)


def test_the_librarys_way_of_the_page_takes_what_we_send_and_nothing_else() -> None:
    decoded, secret = given("decoded"), mint()
    good = sent(secret, datetime.fromtimestamp(time.time(), UTC))

    assert decoded(secret, good, BODY)["type"] == "grant.expired"
    with pytest.raises(Exception, match="No matching signature"):
        decoded(mint(), good, BODY)


def test_the_table_of_events_is_complete_and_says_what_the_code_says() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", PAGE.partition("## The events")[2], re.MULTILINE)

    assert dict(rows) == dict(EVENTS)
    assert [name for name, _ in rows] == list(EVENTS)
