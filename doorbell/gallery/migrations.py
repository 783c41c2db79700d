"""What is in the gallery's file: its tables, version by version."""

from __future__ import annotations

from doorbell.gallery.change_log import STATEMENTS
from doorbell.storage.sqlite import Schema

# "DoBe" in ASCII; SQLite keeps it in the file's header so that programs can tell their own files.
APPLICATION_ID = 0x446F4265

# What a daemon that is started again goes by: when the bell rang in a visit, and when the daemon
# stopped that ended it.
_RINGS_AND_STOPS = (
    "ALTER TABLE visits ADD COLUMN rang_at REAL",
    "ALTER TABLE visits ADD COLUMN stopped_at REAL",
)

# Names and merges, so that they can be taken back, and when a sample came. ``moved`` says what was
# whose, by reference: what is forgotten takes its note along. Each naming is a correction, too.
_NAMINGS = (
    """CREATE TABLE namings (
        correction_id INTEGER PRIMARY KEY REFERENCES corrections ON DELETE CASCADE,
        person_id INTEGER REFERENCES people ON DELETE CASCADE,
        stranger_id INTEGER REFERENCES strangers ON DELETE CASCADE,
        added_by INTEGER REFERENCES corrections ON DELETE SET NULL,
        kept_added_by INTEGER REFERENCES corrections ON DELETE SET NULL,
        before TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE moved (
        id INTEGER PRIMARY KEY,
        naming_id INTEGER NOT NULL REFERENCES namings ON DELETE CASCADE,
        sample_id INTEGER REFERENCES samples ON DELETE CASCADE,
        visit_id TEXT REFERENCES visits ON DELETE CASCADE,
        negative_id INTEGER REFERENCES negatives ON DELETE CASCADE,
        denial_id INTEGER REFERENCES negatives ON DELETE CASCADE,
        correction_id INTEGER REFERENCES corrections ON DELETE CASCADE,
        earlier_id INTEGER REFERENCES namings ON DELETE CASCADE,
        added_by INTEGER REFERENCES corrections ON DELETE SET NULL,
        was_added INTEGER NOT NULL DEFAULT 0,
        hidden_by INTEGER REFERENCES corrections ON DELETE SET NULL,
        source_sha256 TEXT,
        since INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    *(
        f"CREATE INDEX moved_by_{column} ON moved ({column}) WHERE {column} IS NOT NULL"
        for column in (
            "naming_id",
            "sample_id",
            "visit_id",
            "negative_id",
            "denial_id",
            "correction_id",
            "earlier_id",
            "added_by",
            "hidden_by",
        )
    ),
    "CREATE INDEX namings_by_person ON namings (person_id) WHERE person_id IS NOT NULL",
    "CREATE INDEX namings_by_stranger ON namings (stranger_id) WHERE stranger_id IS NOT NULL",
    "ALTER TABLE samples ADD COLUMN added_at REAL",
)

# Who never rings; and the name by which a person's trigger was known to Home Assistant before it
# went by the number: automations wait for it, whatever the person is called since.
_IGNORED_AND_TRIGGERS = (
    "ALTER TABLE people ADD COLUMN ignored INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE strangers ADD COLUMN ignored INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE people ADD COLUMN earlier_subtype TEXT",
    "UPDATE people SET earlier_subtype = name",
)

# What people look like, for those who agreed to it. One that a merging has hidden comes back where
# that is undone, and goes with its person.
_PORTRAITS = (
    """CREATE TABLE portraits (
        id INTEGER PRIMARY KEY,
        person_id INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
        jpeg BLOB NOT NULL,
        chosen_at REAL NOT NULL,
        hidden_by INTEGER REFERENCES corrections ON DELETE SET NULL
    ) STRICT""",
    "CREATE INDEX portraits_of_people ON portraits (person_id)",
    "CREATE INDEX portraits_by_hidden_by ON portraits (hidden_by) WHERE hidden_by IS NOT NULL",
    "ALTER TABLE moved ADD COLUMN portrait_id INTEGER REFERENCES portraits ON DELETE CASCADE",
    "CREATE INDEX moved_by_portrait_id ON moved (portrait_id) WHERE portrait_id IS NOT NULL",
)

# At which door each visit was; empty where an earlier doorbell has stored it. Visits of a door are
# listed by when they began, and deleted by when they were seen last.
_DOORS = (
    "ALTER TABLE visits ADD COLUMN door_id TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX visits_of_doors_by_start ON visits (door_id, started_at)",
    "CREATE INDEX visits_of_doors_by_last_seen ON visits (door_id, last_seen_at)",
)

# Each entry leads from the version of its index to the next and is recorded (PRAGMA user_version)
# in the same transaction. Entries are only ever appended. AUTOINCREMENT: an identifier that was
# forgotten never comes back as somebody else.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"PRAGMA application_id = {APPLICATION_ID}",
        """CREATE TABLE people (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            name_key TEXT NOT NULL UNIQUE,
            chime TEXT,
            preferences TEXT NOT NULL DEFAULT '{}'
        ) STRICT""",
        """CREATE TABLE strangers (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            first_seen_at REAL NOT NULL,
            last_seen_at REAL NOT NULL,
            visits INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE samples (
            id INTEGER PRIMARY KEY,
            person_id INTEGER REFERENCES people ON DELETE CASCADE,
            stranger_id INTEGER REFERENCES strangers ON DELETE CASCADE,
            model_id TEXT NOT NULL,
            embedding BLOB NOT NULL,
            quality REAL NOT NULL,
            source_sha256 TEXT,
            CHECK ((person_id IS NULL) <> (stranger_id IS NULL)),
            UNIQUE (person_id, model_id, source_sha256)
        ) STRICT""",
        "CREATE INDEX samples_of_strangers ON samples (stranger_id)",
        """CREATE TABLE visits (
            id TEXT PRIMARY KEY,
            started_at REAL NOT NULL,
            last_seen_at REAL NOT NULL,
            ended_at REAL,
            person_id INTEGER REFERENCES people ON DELETE SET NULL,
            stranger_id INTEGER REFERENCES strangers ON DELETE SET NULL,
            similarity REAL NOT NULL,
            frames_used INTEGER NOT NULL,
            seconds_to_decision REAL
        ) STRICT""",
        "CREATE INDEX visits_by_start ON visits (started_at)",
        "CREATE INDEX visits_of_people ON visits (person_id)",
        "CREATE INDEX visits_of_strangers ON visits (stranger_id)",
    ),
    # What the household says of visits. A correction can be undone by deleting its row: what it
    # added goes with it, and what it hid is seen again.
    (
        """CREATE TABLE corrections (
            id INTEGER PRIMARY KEY,
            visit_id TEXT REFERENCES visits ON DELETE SET NULL,
            person_id INTEGER REFERENCES people ON DELETE SET NULL,
            stranger_id INTEGER REFERENCES strangers ON DELETE SET NULL,
            earlier_last_seen_at REAL
        ) STRICT""",
        "CREATE INDEX corrections_of_visits ON corrections (visit_id)",
        """CREATE TABLE visit_samples (
            id INTEGER PRIMARY KEY,
            visit_id TEXT NOT NULL REFERENCES visits ON DELETE CASCADE,
            model_id TEXT NOT NULL,
            embedding BLOB NOT NULL,
            quality REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX visit_samples_of_visits ON visit_samples (visit_id)",
        """CREATE TABLE negatives (
            id INTEGER PRIMARY KEY,
            not_person_id INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
            person_id INTEGER REFERENCES people ON DELETE CASCADE,
            stranger_id INTEGER REFERENCES strangers ON DELETE SET NULL,
            model_id TEXT NOT NULL,
            embedding BLOB NOT NULL,
            quality REAL NOT NULL,
            added_by INTEGER NOT NULL REFERENCES corrections ON DELETE CASCADE,
            hidden_by INTEGER REFERENCES corrections ON DELETE SET NULL
        ) STRICT""",
        """CREATE TABLE non_faces (
            id INTEGER PRIMARY KEY,
            model_id TEXT NOT NULL,
            embedding BLOB NOT NULL,
            quality REAL NOT NULL,
            added_by INTEGER NOT NULL REFERENCES corrections ON DELETE CASCADE
        ) STRICT""",
        "ALTER TABLE samples ADD COLUMN visit_id TEXT REFERENCES visits ON DELETE SET NULL",
        *(
            f"ALTER TABLE {table} ADD COLUMN {by} INTEGER REFERENCES corrections ON DELETE {then}"
            for table, by, then in (
                ("samples", "added_by", "CASCADE"),
                ("samples", "hidden_by", "SET NULL"),
                ("strangers", "added_by", "CASCADE"),
                ("strangers", "hidden_by", "SET NULL"),
                ("visits", "hidden_by", "SET NULL"),
            )
        ),
    ),
    # What a person agreed to, and when it was noted; and by which key embeddings are encrypted.
    (
        "ALTER TABLE people ADD COLUMN consent TEXT",
        "ALTER TABLE people ADD COLUMN consent_at REAL",
        """CREATE TABLE sealing (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            proof BLOB NOT NULL
        ) STRICT""",
    ),
    # What a person may look like otherwise, drawn over a sample: it goes wherever that goes.
    (
        """CREATE TABLE variants (
            id INTEGER PRIMARY KEY,
            sample_id INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
            drawing TEXT NOT NULL,
            embedding BLOB NOT NULL,
            quality REAL NOT NULL,
            UNIQUE (sample_id, drawing)
        ) STRICT""",
    ),
    # What a daemon that starts again goes by, what can be taken back of naming and merging, and who
    # is ignored.
    (*_RINGS_AND_STOPS, *_NAMINGS, *_IGNORED_AND_TRIGGERS),
    # Portraits.
    (*_PORTRAITS,),
    # Several doors.
    (*_DOORS,),
)

# Wherever there is an embedding.
EMBEDDING_TABLES = ("samples", "variants", "visit_samples", "negatives", "non_faces")

# Whatever is encrypted where there is a key: by table, in which column.
ENCRYPTED = {**dict.fromkeys(EMBEDDING_TABLES, "embedding"), "portraits": "jpeg"}

SCHEMA = Schema(
    APPLICATION_ID,
    MIGRATIONS,
    # WAL: the command line reads and writes while the daemon runs. FULL: a doorbell has no
    # shutdown before a power cut; what was acknowledged must be on the disk. Writes are rare.
    settings=(
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",  # a forgotten face is overwritten, not merely unlinked
    ),
    # Somebody may be enrolling from the command line beside the daemon.
    busy_seconds=5.0,
    additions=STATEMENTS,
)
