"""The clock worker: what is due is done, within a second or so of its time, whether or not anybody looks.

Nothing depends on it being punctual: a deadline counts from its own moment, and the door and the pages see it
without this loop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from quorate.app.passing import PASSING
from quorate.app.rounds import Did, Rounds

log = logging.getLogger(__name__)

REST_S = 0.5  # A directory change must have been looked at within 2 s.
LONGEST_REST_S = 30.0  # After failures, each of which doubles the rest.

Rest = Callable[[float], Awaitable[None]]


async def run(rounds: Rounds, *, rest: Rest = asyncio.sleep) -> None:
    """Do rounds back to back while more is waiting, and rest when not. Ends only by being cancelled.

    Cancelling rolls back the transaction in flight: what it was about to do is still due.
    """
    failures = 0
    while True:
        try:
            did = await turn(rounds)
            failures = 0
        except Exception as error:
            failures += 1
            # The database's absence is no mistake of ours; any other failure is told in full, once in a row.
            in_full = failures == 1 and not isinstance(error, PASSING)
            log.warning("a round failed: %s", error, exc_info=in_full, extra={"failures": failures})
            await rest(min(REST_S * 2**failures, LONGEST_REST_S))
            continue
        if did.done:
            log.debug("a round is done", extra={"done": did.done})
        await rest(0 if did.more else REST_S)


async def turn(rounds: Rounds) -> Did:
    """One round of each kind: deadlines first."""
    lapsed = await rounds.lapse()
    tidied = await rounds.tidy()
    return Did(lapsed.done + tidied.done, lapsed.failed + tidied.failed, lapsed.more or tidied.more)
