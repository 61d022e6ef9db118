"""What live grants give, as parts of statements: each role, group or holder once, however many grants support it.

The same access may be asked for and given a thousand times over. So nothing here reads grant by grant: an index is
entered once for each thing given (a loose index scan), and once more to see whether any grant of it is still live.
"""

from typing import Literal

Kind = Literal["role", "group"]


def targets(kind: Kind, tenant: str, holder: str, at: str) -> str:
    """Text that selects the ids of the roles or groups which grants give to one holder at a moment."""
    return _each_once("target_id", tenant, f"{_of(kind)} AND g.principal_id = {holder}", at)


def holders(kind: Kind, target: str, tenant: str, at: str) -> str:
    """Text that selects the ids of the accounts to which grants give one role or group at a moment."""
    return _each_once("principal_id", tenant, f"{_of(kind)} AND g.target_id = {target}", at)


def _of(kind: Kind) -> str:
    return f"g.target_type = '{kind}' AND g.revoked_at IS NULL"


def _each_once(column: str, tenant: str, where: str, at: str) -> str:
    return f"""
        WITH RECURSIVE given AS (
            (SELECT g.{column} AS id FROM access_grant g WHERE g.tenant_id = {tenant} AND {where}
              ORDER BY g.{column} LIMIT 1)
            UNION ALL
            SELECT (SELECT g.{column} FROM access_grant g
                     WHERE g.tenant_id = {tenant} AND {where} AND g.{column} > given.id
                     ORDER BY g.{column} LIMIT 1)
              FROM given
             WHERE given.id IS NOT NULL
        )
        SELECT given.id
          FROM given
         WHERE (SELECT true FROM access_grant g
                 WHERE g.tenant_id = {tenant} AND {where} AND g.{column} = given.id
                   AND coalesce(g.ends_at, 'infinity') > {at} AND g.starts_at <= {at}
                 LIMIT 1)
    """
