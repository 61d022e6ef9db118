"""The policies of many tenants, compiled once for each change, and kept within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.app.cedar.compiled import Compiled
from quorate.app.cedar.question import Question
from quorate.app.cedar.schema import Vocabulary, vocabulary
from quorate.domain.policy import Outcome
from quorate.store import policies as store
from quorate.store.policies import Stamp
from quorate.store.tx import Tx

MAX_TENANTS: Final = 256
MAX_RULES: Final = 5_000  # Of all kept tenants together; some 15 kB each, and their slices up to twice that.


class Ready(Struct, frozen=True):
    """A tenant's policies as its rows stand in one transaction, with what is needed to put a question."""

    stamp: Stamp
    compiled: Compiled
    vocabulary: Vocabulary
    aliases: Mapping[str, tuple[str, ...]] = {}

    def ask(self, question: Question) -> Outcome:
        """Answer at once. It never raises; see `Compiled.ask`."""
        return self.compiled.ask(question, self.aliases)


class Shelf:
    """Compiled policies by tenant. Whoever asks has read the stamps in their own transaction, so none is ever stale."""

    def __init__(self, *, most_tenants: int = MAX_TENANTS, most_rules: int = MAX_RULES) -> None:
        self._most_tenants, self._most_rules = most_tenants, most_rules
        self._kept: OrderedDict[UUID, Ready] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def ready(self, tx: Tx) -> dict[UUID, Ready]:
        """Give the policies of every tenant of this transaction that exists: one small statement if nothing changed."""
        stamps = await store.stamps(tx)
        kept = {
            tenant: one for tenant in stamps if (one := self._kept.get(tenant))
        }  # Others may let go of it meanwhile.
        changed = [
            tenant
            for tenant, stamp in stamps.items()
            if tenant not in kept or kept[tenant].stamp.policies != stamp.policies
        ]
        rows = await store.every(tx, changed) if changed else {}
        answer = {}
        for tenant, stamp in stamps.items():
            known = rows.get(tenant)
            compiled = kept[tenant].compiled if known is None else await asyncio.to_thread(Compiled, known)
            answer[tenant] = await self._renewed(tx, tenant, stamp, compiled, kept.get(tenant))
        for tenant, one in answer.items():
            self._keep(tenant, one)
        return answer

    async def _renewed(self, tx: Tx, tenant: UUID, stamp: Stamp, compiled: Compiled, old: Ready | None) -> Ready:
        if old is not None and old.stamp == stamp:
            return old
        same = old is not None and old.compiled is compiled
        if old is not None and same and old.stamp.directory == stamp.directory:
            aliases = old.aliases
        else:
            names = compiled.group_names
            found = await store.groups_named(tx, tenant, names) if names else {}
            aliases = {id: (name,) for id, name in found.items()}
        known = old.vocabulary if old is not None and old.stamp.settings == stamp.settings else None
        return Ready(stamp, compiled, known or vocabulary(stamp.settings), aliases)

    def _keep(self, tenant: UUID, ready: Ready) -> None:
        self._kept[tenant] = ready
        self._kept.move_to_end(tenant)
        rules = sum(len(one.compiled) for one in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > self._most_tenants or rules > self._most_rules):
            _, gone = self._kept.popitem(last=False)
            rules -= len(gone.compiled)
