"""How the server finds who is most alike: the template of everybody, and an index of them.

A template is the mean of the samples, whose direction alone is compared. The server makes it of
samples as they change, within the statement that changes them.
"""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

from doorbell.gallery.postgres.address import SCHEMA
from doorbell.gallery.postgres.locks import WRITERS_LOCK
from doorbell.gallery.postgres.triggers import of_changes
from doorbell.gallery.queries import UNDECIDED

_WHOSE = {"people": "person_id", "strangers": "stranger_id"}

# Of whom there is an index.
INDEXED = _WHOSE.values()

# So many templates are gone through to find the most alike; more find them more surely.
SEARCHED = 200

# Numbers of those of one embedder who are most alike, by the embedder, the embedding, and how many
# there are to be. A stranger who is named or merged is nobody that can be met. Visits of nobody
# known are few, and compared one by one.
MOST_ALIKE = {
    "person_id": "SELECT person_id AS number FROM templates WHERE person_id IS NOT NULL "
    "AND model_id = ? ORDER BY embedding <=> ? LIMIT ?",
    "stranger_id": "SELECT stranger_id AS number FROM templates WHERE stranger_id IS NOT NULL "
    "AND model_id = ? AND EXISTS (SELECT 1 FROM strangers WHERE id = stranger_id "
    "AND hidden_by IS NULL) ORDER BY embedding <=> ? LIMIT ?",
    "rowid": "SELECT rowid AS number FROM visits JOIN visit_samples ON visit_id = visits.id "
    f"WHERE {UNDECIDED} AND model_id = ? GROUP BY rowid ORDER BY avg(embedding) <=> ? LIMIT ?",
}

LIKENESS = (
    """CREATE TABLE templates (
        person_id BIGINT REFERENCES people ON DELETE CASCADE,
        stranger_id BIGINT REFERENCES strangers ON DELETE CASCADE,
        model_id TEXT NOT NULL,
        embedding vector(128) NOT NULL,
        UNIQUE (person_id, model_id),
        UNIQUE (stranger_id, model_id)
    )""",
    "INSERT INTO templates SELECT person_id, stranger_id, model_id, avg(embedding) FROM samples "
    "WHERE hidden_by IS NULL GROUP BY person_id, stranger_id, model_id",
    *(
        f"CREATE INDEX templates_by_likeness_of_{whose} ON templates "
        f"USING hnsw (embedding vector_cosine_ops) WHERE {column} IS NOT NULL"
        for whose, column in _WHOSE.items()
    ),
    f"""CREATE FUNCTION renew_templates(people_ids BIGINT[], stranger_ids BIGINT[]) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SCHEMA}, public, pg_temp AS $$
        BEGIN
            IF coalesce(people_ids[1], people_ids[2], stranger_ids[1], stranger_ids[2]) IS NULL
                THEN RETURN; END IF;
            PERFORM pg_advisory_xact_lock({WRITERS_LOCK});
            DELETE FROM templates
                WHERE person_id = ANY(people_ids) OR stranger_id = ANY(stranger_ids);
            INSERT INTO templates SELECT person_id, stranger_id, model_id, avg(embedding)
                FROM samples
                WHERE (person_id = ANY(people_ids) OR stranger_id = ANY(stranger_ids))
                AND hidden_by IS NULL
                AND (EXISTS (SELECT 1 FROM people WHERE id = person_id)
                    OR EXISTS (SELECT 1 FROM strangers WHERE id = stranger_id))
                GROUP BY person_id, stranger_id, model_id;
        END $$""",
    *of_changes(
        "samples",
        "likeness",
        "PERFORM renew_templates(array_agg(DISTINCT changed.person_id), "
        "array_agg(DISTINCT changed.stranger_id)) FROM {rows} AS changed;",
        ("person_id", "stranger_id", "model_id", "embedding", "hidden_by"),
    ),
)
