"""What a role of the server may do: a door less than the household."""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

from doorbell.gallery.postgres.address import SCHEMA

# For the account of a door that has a console of its own nowhere: it reads whom it is to know, and
# writes visits and strangers. Neither people nor what they look like is its to change, or to see.
DOOR = "doorbell_door"

# For whoever enrolls, names, corrects and forgets.
HOUSEHOLD = "doorbell_household"

_SQL = f"""-- Run once, as the owner of the gallery, after the first start or move: psql -f FILE
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{DOOR}') THEN
        CREATE ROLE {DOOR} NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{HOUSEHOLD}') THEN
        CREATE ROLE {HOUSEHOLD} NOLOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA {SCHEMA} TO {DOOR}, {HOUSEHOLD};
SET search_path = {SCHEMA};

-- The household: everything but the tables themselves.
GRANT SELECT, INSERT, UPDATE, DELETE ON people, strangers, visits, visit_samples, samples, variants,
    corrections, negatives, non_faces, namings, moved, portraits TO {HOUSEHOLD};
GRANT SELECT ON gallery, template_changes TO {HOUSEHOLD};

-- A door: whom it is to know; no portrait.
GRANT SELECT ON gallery, template_changes, people, strangers, visits, visit_samples, samples,
    variants, corrections, negatives, non_faces, namings TO {DOOR};
GRANT INSERT, UPDATE, DELETE ON strangers, visits, visit_samples, samples TO {DOOR};
-- With a stranger goes what was said of them.
GRANT DELETE ON corrections, negatives TO {DOOR};

-- A door writes samples of strangers, and of nobody who is enrolled.
ALTER TABLE samples ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS household ON samples;
CREATE POLICY household ON samples TO {HOUSEHOLD} USING (true);
DROP POLICY IF EXISTS known_at_doors ON samples;
CREATE POLICY known_at_doors ON samples FOR SELECT TO {DOOR} USING (true);
DROP POLICY IF EXISTS met_at_doors ON samples;
CREATE POLICY met_at_doors ON samples TO {DOOR}
    USING (person_id IS NULL) WITH CHECK (person_id IS NULL);

-- Then an account for each machine, with a password of its own:
--     CREATE ROLE front_door LOGIN PASSWORD '...' IN ROLE {DOOR};
"""


def roles_sql() -> str:
    """For psql: makes both roles and says what they may do; to be run again at will."""
    return _SQL
