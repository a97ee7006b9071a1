"""All tables. Times are Unix seconds unless a name says otherwise; JSON columns hold what the API shows of them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
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
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
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
    Column("updated_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
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
    Index("ix_grants_principal", "principal_type", "principal_id"),
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
    Index("ix_billing_audit_log_entity", "entity_type", "entity_id"),
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
