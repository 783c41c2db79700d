"""Triggers of the schema: they run once a statement, and see all rows that it changes."""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations


def of_changes(table: str, of: str, doing: str, compared: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Triggers that do something about the rows which a statement changes.

    Args:
        table: that is changed.
        of: a word for their names.
        doing: what they do, with ``{rows}`` as they were and as they have become.
        compared: columns of which one has to be another after an update; any where there is none.
    """
    both = "old_rows AS was JOIN new_rows AS becomes USING (id)"
    if compared:
        is_other = " OR ".join(f"was.{each} IS DISTINCT FROM becomes.{each}" for each in compared)
        both += f" WHERE {is_other}"
    rows_of = {
        "INSERT": "new_rows",
        "DELETE": "old_rows",
        "UPDATE": f"(SELECT was.* FROM {both} UNION ALL SELECT becomes.* FROM {both})",
    }
    return tuple(
        statement
        for event, rows in rows_of.items()
        for statement in after_each(table, event, of, doing.format(rows=rows))
    )


# What a trigger of each event can read.
_ROWS_OF = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}


def after_each(table: str, event: str, of: str, doing: str) -> tuple[str, str]:
    """A trigger that does something after each statement of a kind, and its function."""
    name = f"{table}_{event.lower()}_changes_{of}"
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN {doing} RETURN NULL; END $$",
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {_ROWS_OF[event]} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    )
