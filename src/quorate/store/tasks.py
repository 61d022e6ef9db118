"""Tasks as rows: from the work item that somebody sees to the request and step it stands for."""

from uuid import UUID

from quorate.store.requests import COLUMNS, Held, held
from quorate.store.tx import Tx


async def read(tx: Tx, tenant: UUID, task: UUID) -> tuple[Held, int] | None:
    """Read the request a task belongs to, without holding it, and the place of the task's step in its route."""
    columns = ", ".join(f"r.{name.strip()}" for name in COLUMNS.split(","))
    row = await tx.one(
        f"""
        SELECT {columns}, t.step_index AS task_step
          FROM task t JOIN request r ON r.tenant_id = t.tenant_id AND r.id = t.request_id
         WHERE t.tenant_id = $1 AND t.id = $2
        """,
        tenant,
        task,
    )
    return None if row is None else (held(row), row["task_step"])
