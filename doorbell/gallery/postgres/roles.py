"""What an account of the server may do: that of a door less than the household's."""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

import re
from collections.abc import Collection

from doorbell.errors import UsageError
from doorbell.gallery.moving import KEYS
from doorbell.gallery.postgres.address import SCHEMA
from doorbell.gallery.postgres.locks import WRITERS_LOCK

# For a machine that watches doors: it reads whom it is to know, and writes visits of its own doors
# and strangers. Neither people nor what they look like is its to change, nor is it shown what they
# agreed to, or were called before.
DOOR = "doorbell_door"

# For whoever enrolls, names, corrects, forgets and tidies.
HOUSEHOLD = "doorbell_household"

_ACCOUNT = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# Of tables that have more in them, the columns that a door's account reads: what its copy takes,
# and by what it finds that.
_READS = {
    "people": ("id", "name", "name_key", "chime", "preferences", "ignored", "earlier_subtype"),
    "samples": (
        *("id", "person_id", "stranger_id", "model_id", "embedding", "quality"),
        *("source_sha256", "visit_id", "hidden_by", "added_at"),
    ),
    "negatives": (
        *("id", "not_person_id", "stranger_id", "model_id", "embedding", "quality", "hidden_by"),
    ),
    "non_faces": ("id", "model_id", "embedding", "quality"),
    "corrections": ("id", "visit_id"),
    "namings": ("correction_id", "person_id", "stranger_id"),
}

_HOUSEHOLD = f"""-- The household: everything but the tables themselves.
GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(KEYS)} TO {HOUSEHOLD};
GRANT SELECT ON gallery, templates, door_accounts, gone TO {HOUSEHOLD};
GRANT SELECT, UPDATE, DELETE ON machines TO {HOUSEHOLD};
GRANT SELECT, DELETE ON template_changes, visit_changes TO {HOUSEHOLD};
GRANT UPDATE (tidied_at, pruned_revision) ON gallery TO {HOUSEHOLD};
"""


def _columns_read() -> str:
    return "\n".join(
        f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {DOOR};"
        for table, columns in _READS.items()
    )


_DOOR = f"""-- A door: whom it is to know, and its own visits.
GRANT SELECT ON gallery, templates, template_changes, visit_changes, door_accounts, machines,
    strangers, visits, visit_samples, variants, gone TO {DOOR};
{_columns_read()}
GRANT INSERT, UPDATE, DELETE ON visits, visit_samples TO {DOOR};
GRANT INSERT (id, first_seen_at, last_seen_at, visits), DELETE ON strangers TO {DOOR};
GRANT UPDATE (first_seen_at, last_seen_at, visits) ON strangers TO {DOOR};
GRANT INSERT, DELETE, UPDATE (visit_id) ON samples TO {DOOR};
GRANT UPDATE (applied_sequence, followed_revision, seen_at) ON machines TO {DOOR};
-- With a stranger goes what was said of them.
GRANT DELETE ON corrections, negatives TO {DOOR};
-- Machines have numbers for strangers to come.
GRANT USAGE ON SEQUENCE strangers_id_seq TO {DOOR}, {HOUSEHOLD};
"""

_OWN_DOOR = "door_id IN (SELECT door_id FROM door_accounts WHERE account = session_user)"


def _of_own_visit(table: str) -> str:
    """That a row belongs to a visit which the account sees."""
    return f"EXISTS (SELECT 1 FROM visits WHERE visits.id = {table}.visit_id)"


# For each table what a door's account does, and with which rows; of an update, as which rows it may
# leave these, if not as such.
_ROWS: dict[str, dict[str, str | tuple[str, str]]] = {
    "visits": {"ALL": _OWN_DOOR},
    "visit_samples": {"ALL": _of_own_visit("visit_samples")},
    "visit_changes": {"SELECT": _OWN_DOOR},
    "machines": {"ALL": "account = session_user"},
    "door_accounts": {"SELECT": "account = session_user"},
    # Of strangers it forgets whom it took for one by mistake, and nobody else has met.
    "strangers": {
        "SELECT": "true",
        "INSERT": "true",
        "UPDATE": "true",
        "DELETE": "visits <= 1 AND ignored = 0",
    },
    # Of somebody enrolled it may say which sample came from its visit.
    "samples": {
        "SELECT": "true",
        "INSERT": "person_id IS NULL",
        "DELETE": "person_id IS NULL",
        "UPDATE": ("visit_id IS NULL", _of_own_visit("samples")),
    },
    "corrections": {
        "SELECT": f"visit_id IS NULL OR {_of_own_visit('corrections')}",
        "DELETE": "EXISTS (SELECT 1 FROM namings WHERE correction_id = corrections.id "
        "AND namings.stranger_id IS NOT NULL)",
    },
    "negatives": {"SELECT": "true", "DELETE": "stranger_id IS NOT NULL"},
}


def _policies() -> str:
    lines = []
    for table, rows in _ROWS.items():
        lines.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;")
        lines.append(_policy(table, "household", HOUSEHOLD, "ALL", "true"))
        for command, which in rows.items():
            lines.append(_policy(table, f"doors_{command.lower()}", DOOR, command, which))
    return "\n".join(lines)


def _policy(table: str, name: str, role: str, command: str, which: str | tuple[str, str]) -> str:
    using, becoming = which if isinstance(which, tuple) else (which, which)
    conditions = "" if command == "INSERT" else f" USING ({using})"
    if command in ("INSERT", "UPDATE"):
        conditions += f" WITH CHECK ({becoming})"
    return (
        f"DROP POLICY IF EXISTS {name} ON {table};\nCREATE POLICY {name} ON {table} "
        f"FOR {command} TO {role}{conditions};"
    )


def _made(role: str, options: str) -> str:
    return f"""DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} {options};
    END IF;
END $$;
"""


def roles_sql() -> str:
    """For psql: makes both roles and says what they may do; to be run again at will."""
    return f"""-- For a superuser, in the gallery's database, after the first start or move.
-- All of it or nothing, while nobody writes: doors that are in touch are refused nothing meanwhile.
BEGIN;
SET client_min_messages = error;
-- Who reads in the middle of it gives way, and reads again.
SET LOCAL deadlock_timeout = 60000;
{_made(DOOR, "NOLOGIN")}{_made(HOUSEHOLD, "NOLOGIN")}SET search_path = {SCHEMA};
DO $$ BEGIN PERFORM pg_advisory_xact_lock({WRITERS_LOCK}); END $$;
-- What an earlier version has granted.
REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM {DOOR}, {HOUSEHOLD};
GRANT USAGE ON SCHEMA {SCHEMA} TO {DOOR}, {HOUSEHOLD};

{_HOUSEHOLD}
{_DOOR}
-- Which rows.
{_policies()}
COMMIT;
"""


def account_sql(account: str, doors: Collection[str], *, is_household: bool = False) -> str:
    """For psql, after ``roles_sql``: makes the account of a machine; to be run again at will.

    Args:
        account: its name.
        doors: the ids of those that it watches; their visits are its own.
        is_household: whether it may do what the household may.

    Raises:
        UsageError: no account is called that.
    """
    if _ACCOUNT.fullmatch(account) is None:
        raise UsageError(f"no account is called {account!r}; take small letters, digits and _")
    listed = ", ".join("({}, {})".format(*map(_quoted, (account, door))) for door in doors)
    return f"""
-- Give it a password then: \\password {account}
BEGIN;
{_made(account, "LOGIN")}GRANT {HOUSEHOLD if is_household else DOOR} TO {account};
REVOKE {DOOR if is_household else HOUSEHOLD} FROM {account};
DELETE FROM door_accounts WHERE account = {_quoted(account)};
INSERT INTO door_accounts (account, door_id) VALUES {listed};
COMMIT;
"""


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
