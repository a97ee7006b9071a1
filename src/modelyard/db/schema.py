"""All tables. Times are Unix seconds unless a name says otherwise; JSON columns hold what the API shows of them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import true as sa_true

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("email", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column(
        "kind", String, nullable=False, server_default="person", comment="person, or service: no password, keys only"
    ),
    Column("password_hash", String),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    # Members of a group are members of its parent too, and have what the parent was granted.
    Column("parent_id", ForeignKey("groups.id", ondelete="SET NULL"), index=True),
    Column("permissions", JSON, nullable=False, server_default="{}", comment="permission path -> true"),
    Column(
        "share", Boolean, nullable=False, server_default=sa_true(), comment="may be chosen when something is shared"
    ),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    # No foreign key: a key may belong to a user whom the environment or a file declares.
    Column("user_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String, nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("dialects", JSON(none_as_null=True)),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("concurrency", BigInteger),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("replaced_by", String, comment="the key that a rotation made in place of this one"),
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("address", String, nullable=False, server_default=""),
    Column("user_agent", String, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# Failed sign-ins of the last hour: all workers count together, and a restart forgets nothing (`control.people.throttle`).
sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("subject", LargeBinary(32), primary_key=True, comment="keyed digest of an account, an address, ..."),
    Column("count", Double, nullable=False, comment="as it was at the last one; it fades"),
    Column("last_at", Double, nullable=False, index=True, comment="Unix seconds of the database"),
)

connections = Table(
    "connections",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("flavour", String, nullable=False),
    Column("base_url", String, nullable=False),
    Column("sealed_keys", Text, nullable=False, comment="JSON list of keys, sealed with the secret key"),
    Column("sealed_headers", Text, nullable=False, comment="JSON object of extra headers, sealed"),
    Column("enable", Boolean, nullable=False),
    Column("prefix_id", String),
    Column("model_ids", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("connection_type", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("timeouts", JSON, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("tls", JSON, nullable=False),
    Column(
        "loads", Boolean, nullable=False, server_default=sa_true(), comment="activation loads, deactivation unloads"
    ),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_id", String, nullable=False, index=True),
    Column("base_model_id", String, index=True),
    Column("name", String, nullable=False),
    Column("params", JSON, nullable=False),
    Column("meta", JSON, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("version_id", String, comment="the row of `versions` that is in force"),
    Column("sort_name", String, nullable=False, server_default="", comment="the name case-folded"),
    Column("search_text", Text, nullable=False, server_default="", comment="name, id, base, description case-folded"),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The last column: SQLite reads a row from its beginning up to the last column that is asked for.
    Column("profile_image", Text, comment="data URI of an uploaded image; lists and the snapshot do not read it"),
    Index("ix_models_sort_name_id", "sort_name", "id"),
    Index("ix_models_updated_at_id", "updated_at", "id"),
    Index("ix_models_created_at_id", "created_at", "id"),
)

model_tags = Table(
    "model_tags",
    metadata,
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String, primary_key=True, comment="case-folded, for an exact match in any script"),
    Column("name", String, nullable=False, comment="as it was written"),
    Index("ix_model_tags_tag", "tag", "model_id"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("resource_type", String, nullable=False),
    Column("resource_id", String, nullable=False),
    Column("principal_type", String, nullable=False),
    Column("principal_id", String, nullable=False),
    Column("permission", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("resource_type", "resource_id", "principal_type", "principal_id", "permission", name="uq_grants"),
    # All that lists ask about a caller: what they were granted is read from the index alone.
    Index(
        "ix_grants_principal_resource", "principal_type", "principal_id", "resource_type", "resource_id", "permission"
    ),
)

# What objects were: one row for each state that was saved, of any kind of object.
versions = Table(
    "versions",
    metadata,
    Column("id", String, primary_key=True),
    Column("entity_type", String, nullable=False),
    Column("entity_id", String, nullable=False),
    Column("parent_id", String),
    Column("content", JSON, nullable=False),
    Column("user_id", String, nullable=False),
    Column("message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False, comment="1, 2, 3 ... of one object"),
    UniqueConstraint("entity_type", "entity_id", "position", name="uq_versions_position"),
)

# What was deleted and can still be restored. One act of deleting is one batch.
trash = Table(
    "trash",
    metadata,
    Column("id", String, primary_key=True),
    Column("entity_type", String, nullable=False),
    Column("entity_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("owner_id", String, nullable=False, index=True),
    Column("content", JSON, nullable=False, comment="the whole object with its grants"),
    Column("batch_id", String, nullable=False, index=True),
    Column("deleted_by", String, nullable=False),
    Column("deleted_at", BigInteger, nullable=False, index=True),
    Index("ix_trash_entity", "entity_type", "entity_id"),
)

# Settings that people change while the server runs; they win over the environment.
stored_settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# States that `modelyard apply` made, for rollback.
revisions = Table(
    "revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content", Text, nullable=False, comment="the whole document as YAML, secrets as references"),
    Column(
        "owners",
        JSON(none_as_null=True),
        comment="model -> its stored user_id, where a document has no name for the owner; null: not noted",
    ),
    Column("user_id", String, nullable=False),
    Column("message", Text),
    Column("created_at", BigInteger, nullable=False),
)

# Work in the background that people watch, such as loading a model.
jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("model_id", String, nullable=False, index=True),
    Column("connection_id", String, nullable=False),
    Column("upstream_model", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text),
    Column("user_id", String, nullable=False),
    Column("process", String, nullable=False, comment="which process works on it"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False, index=True),
)

audit = Table(
    "billing_audit_log",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_id", String, nullable=False, index=True),
    Column("action", String, nullable=False),
    Column("entity_type", String, nullable=False),
    Column("entity_id", String, nullable=False),
    Column("description", Text),
    Column("changes", JSON(none_as_null=True)),
    Column("audit_metadata", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False, index=True),
    # The chain: each row's digest covers the one before it. Rows that are older than the chain have no digest.
    Column("position", BigInteger, nullable=False, unique=True),
    Column("digest", LargeBinary(32)),
    Index("ix_billing_audit_log_entity", "entity_type", "entity_id"),
    Index("ix_billing_audit_log_action", "action"),
)

# One row: the end of the chain. Whoever appends locks it.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("digest", LargeBinary(32)),
)

# Answers of the responses API, for `previous_response_id`. Ids are the backends': unique only for one person.
responses = Table(
    "responses",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("previous_id", String),
    Column("items", Text, nullable=False, comment="JSON list: what the caller said in this turn and what came back"),
    Column("answer", Text, nullable=False, comment="the answer as it was given"),
    Column("size", BigInteger, nullable=False, comment="characters of both"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# What the installation knows of itself, such as the digest of the one-time setup link.
facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

# One row. Its version moves with every transaction that matters to the data plane; other processes watch it.
publication = Table(
    "publication",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

# Which objects each version changed, so that other processes read these alone. Old rows are dropped.
publication_log = Table(
    "publication_log",
    metadata,
    Column("version", BigInteger, primary_key=True),
    Column("entity_type", String, primary_key=True),
    Column("entity_id", String, primary_key=True),
)

ledger_metadata = MetaData(naming_convention=NAMES)

# In a SQLite file of its own, so that its batches never block the control plane. Call ids order by time, so a span of
# time is a span of the primary key.
ledger = Table(
    "ledger",
    ledger_metadata,
    Column("id", String, primary_key=True),
    Column("started_at", BigInteger, nullable=False, comment="Unix milliseconds"),
    Column("ended_at", BigInteger, nullable=False, comment="Unix milliseconds"),
    Column("user_id", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("model", String, nullable=False),
    Column("upstream_model", String, nullable=False),
    Column("connection_id", String, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("error", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_byte_ms", BigInteger, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("cached_input", BigInteger, nullable=False),
    Column("cache_write", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cache_write_1h", BigInteger, nullable=False, server_default="0"),
    Column("audio_input", BigInteger, nullable=False, server_default="0"),
    Column("audio_output", BigInteger, nullable=False, server_default="0"),
    Column("loss", String, nullable=False, server_default=""),
    Index("ix_ledger_user_id_id", "user_id", "id"),
    Index("ix_ledger_key_id_id", "key_id", "id"),
    sqlite_with_rowid=False,
)
