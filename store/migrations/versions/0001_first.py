"""Everything that the center remembers from its first day."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _registry()
    _facilities()
    _nodes()
    _shares()
    _requests()
    _clusters()
    _accounts()
    _ledger()
    _marks()
    _append_only("entries")
    _append_only("events")


def _text(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def _number(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable, autoincrement=False) for name in names]


def _flag(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Boolean, nullable=False) for name in names]


def _bytes(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.LargeBinary, nullable=False) for name in names]


def _serial(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _registry() -> None:
    op.create_table(
        "institutions",
        *_text("id", "name", "kind"),
        *_number("joined"),
        *_number("ended", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_institutions"),
    )
    op.create_table(
        "projects",
        *_text("id", "institution", "name", "sector", "topic"),
        *_number("opened"),
        *_number("ended", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.ForeignKeyConstraint(["institution"], ["institutions.id"], name="fk_projects_institution"),
    )
    op.create_index("ix_projects_institution", "projects", ["institution"])
    op.create_table(
        "people",
        *_text("id", "name"),
        *_number("left", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
    )
    op.create_table(
        "grants",
        *_text("person", "role", "reach"),
        *_text("institution", nullable=True),
        *_number("until", nullable=True),
        sa.PrimaryKeyConstraint("person", "role", "reach", name="pk_grants"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_grants_person"),
    )
    op.create_index("ix_grants_institution", "grants", ["institution"])
    op.create_table(
        "tokens",
        *_text("id", "person", "label"),
        *_bytes("digest"),
        *_number("made"),
        *_number("until", "revoked", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_tokens_person"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_index("ix_tokens_person", "tokens", ["person"])


def _facilities() -> None:
    op.create_table(
        "centers",
        *_text("id", "name"),
        sa.PrimaryKeyConstraint("id", name="pk_centers"),
    )
    op.create_table(
        "pools",
        *_text("id", "center", "tier", "name"),
        sa.PrimaryKeyConstraint("id", name="pk_pools"),
        sa.ForeignKeyConstraint(["center"], ["centers.id"], name="fk_pools_center"),
    )
    op.create_table(
        "environments",
        *_text("id", "version", "python", "distributed", "path"),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
    )
    op.create_table(
        "rate_cards",
        *_number("since"),
        *_text("rules"),
        *_number("mark"),
        sa.PrimaryKeyConstraint("since", name="pk_rate_cards"),
    )
    op.create_index("ix_rate_cards_mark", "rate_cards", ["mark"])


def _nodes() -> None:
    op.create_table(
        "nodes",
        *_text("id", "pool", "state"),
        *_number("mark"),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
        sa.ForeignKeyConstraint(["pool"], ["pools.id"], name="fk_nodes_pool"),
    )
    op.create_index("ix_nodes_mark", "nodes", ["mark"])
    op.create_index("ix_nodes_pool", "nodes", ["pool"])
    op.create_table(
        "node_amounts",
        *_text("node", "resource"),
        *_number("capacity", "granted", "ceiling", "mark"),
        sa.PrimaryKeyConstraint("node", "resource", name="pk_node_amounts"),
        sa.CheckConstraint("capacity >= 0", name=op.f("ck_node_amounts_capacity")),
        sa.CheckConstraint("0 <= granted AND granted <= ceiling", name=op.f("ck_node_amounts_granted")),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name="fk_node_amounts_node"),
    )
    op.create_index("ix_node_amounts_mark", "node_amounts", ["mark"])


def _shares() -> None:
    op.create_table(
        "shares",
        *_text("pool", "id"),
        *_text("parent", "institution", nullable=True),
        *_number("version", "mark"),
        sa.PrimaryKeyConstraint("pool", "id", name="pk_shares"),
        sa.ForeignKeyConstraint(["pool"], ["pools.id"], name="fk_shares_pool"),
        sa.ForeignKeyConstraint(["pool", "parent"], ["shares.pool", "shares.id"], name="fk_shares_pool_parent"),
    )
    op.create_index("ix_shares_mark", "shares", ["mark"])
    op.create_index("ix_shares_pool_parent", "shares", ["pool", "parent"])
    op.create_index(
        "uq_shares_root",
        "shares",
        ["pool"],
        unique=True,
        sqlite_where=sa.text("parent IS NULL"),
        postgresql_where=sa.text("parent IS NULL"),
    )
    op.create_table(
        "share_amounts",
        *_text("pool", "share", "resource"),
        *_number("nominal", "borrowing", "lending", "effective", "kept", "limit", "granted", "ceiling", "mark"),
        sa.PrimaryKeyConstraint("pool", "share", "resource", name="pk_share_amounts"),
        sa.CheckConstraint("0 <= granted AND granted <= ceiling", name=op.f("ck_share_amounts_granted")),
        sa.CheckConstraint("nominal >= 0 AND borrowing >= 0 AND lending >= 0", name=op.f("ck_share_amounts_quota")),
        sa.ForeignKeyConstraint(["pool", "share"], ["shares.pool", "shares.id"], name="fk_share_amounts_pool_share"),
    )
    op.create_index("ix_share_amounts_mark", "share_amounts", ["mark"])


def _requests() -> None:
    op.create_table(
        "requests",
        *_text("id", "name", "person", "center", "institution", "project"),
        *_text("pool", "tier", nullable=True),
        *_text("funding", "sector", "topic", "request_class", "environment", "head", "worker"),
        *_number(
            "workers_min",
            "workers_max",
            "walltime_seconds",
            "idle_seconds",
            "submitted",
            "workers_wanted",
            "next_ordinal",
            "version",
        ),
        *_text("state"),
        *_flag("user_hold", "operator_hold"),
        *_number("held_since", nullable=True),
        *_number("held_seconds"),
        *_text("reasons"),
        *_number("placed", "deadline", nullable=True),
        *_text("allocation", "ending", "end", nullable=True),
        *_number("ended", nullable=True),
        *_number("mark"),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
    )
    op.create_index(
        "ix_requests_waiting",
        "requests",
        ["person", "request_class"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_requests_alive",
        "requests",
        ["state"],
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.create_index("ix_requests_institution_submitted", "requests", ["institution", "submitted", "id"])
    op.create_index("ix_requests_mark", "requests", ["mark"])
    op.create_index("ix_requests_person", "requests", ["person"])
    op.create_index("ix_requests_submitted_id", "requests", ["submitted", "id"])


def _clusters() -> None:
    op.create_table(
        "processes",
        *_text("request"),
        *_number("ordinal"),
        *_text("part", "node", "shape"),
        *_number("hold", "version", "incarnation"),
        *_flag("wanted"),
        *_text("uid", "address", nullable=True),
        *_number("started", "charged_until", "lease_until", "not_before", "stop_by", "released", nullable=True),
        *_number("mark"),
        sa.PrimaryKeyConstraint("request", "ordinal", name="pk_processes"),
        sa.ForeignKeyConstraint(["request"], ["requests.id"], name="fk_processes_request"),
    )
    op.create_index(
        "ix_processes_held",
        "processes",
        ["request"],
        sqlite_where=sa.text("released IS NULL"),
        postgresql_where=sa.text("released IS NULL"),
    )
    op.create_index("ix_processes_mark", "processes", ["mark"])
    op.create_table(
        "keys",
        *_text("person", "key", "fingerprint", "request"),
        *_number("kept"),
        sa.PrimaryKeyConstraint("person", "key", name="pk_keys"),
    )
    op.create_index("ix_keys_kept", "keys", ["kept"])
    op.create_table(
        "vault",
        *_text("request"),
        *_bytes("sealed"),
        sa.PrimaryKeyConstraint("request", name="pk_vault"),
    )
    op.create_table(
        "events",
        _serial("number"),
        *_text("request"),
        *_number("at"),
        *_text("kind", "details"),
        *_number("mark"),
        sa.PrimaryKeyConstraint("number", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_mark", "events", ["mark"])
    op.create_index("ix_events_request_mark_number", "events", ["request", "mark", "number"])


def _accounts() -> None:
    op.create_table(
        "allocations",
        *_text("id", "institution", "project", "funding"),
        *_number("begins", "ends", "mark"),
        sa.PrimaryKeyConstraint("id", name="pk_allocations"),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name="fk_allocations_project"),
    )
    op.create_index("ix_allocations_mark", "allocations", ["mark"])
    op.create_index("ix_allocations_project", "allocations", ["project"])
    op.create_table(
        "balances",
        *_text("account"),
        *_text("allocation", nullable=True),
        *_number("amount"),
        *_number("floor", nullable=True),
        *_number("mark"),
        sa.PrimaryKeyConstraint("account", name="pk_balances"),
        sa.CheckConstraint("floor IS NULL OR amount >= floor", name=op.f("ck_balances_floor")),
        sa.ForeignKeyConstraint(["allocation"], ["allocations.id"], name="fk_balances_allocation"),
    )
    op.create_index("ix_balances_allocation", "balances", ["allocation"])
    op.create_index("ix_balances_mark", "balances", ["mark"])
    op.create_table(
        "usage_days",
        *_text("share", "pool"),
        *_number("day", "ppm_seconds", "mark"),
        sa.PrimaryKeyConstraint("share", "pool", "day", name="pk_usage_days"),
    )
    op.create_index("ix_usage_days_mark", "usage_days", ["mark"])


def _ledger() -> None:
    op.create_table(
        "entries",
        _serial("number"),
        *_text("key", "kind", "source", "target"),
        *_number("amount", "at"),
        *_text("center", "institution", "project"),
        *_text("pool", "tier", nullable=True),
        *_text("funding", "sector", "topic"),
        *_number("core_milliseconds", "mib_seconds", "gpu_milliseconds"),
        *_text("request", nullable=True),
        *_number("mark"),
        sa.PrimaryKeyConstraint("number", name="pk_entries"),
        sa.CheckConstraint("amount >= 0 AND source <> target", name=op.f("ck_entries_forward")),
        sa.UniqueConstraint("key", name="uq_entries_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entries_institution_mark_number", "entries", ["institution", "mark", "number"])
    op.create_index("ix_entries_mark", "entries", ["mark"])
    op.create_index("ix_entries_project_mark_number", "entries", ["project", "mark", "number"])
    op.create_index("ix_entries_request", "entries", ["request"])


def _marks() -> None:
    """Make the counter that marks are read from where no transaction has a number of its own."""
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE TABLE mark (value BIGINT NOT NULL)")
        op.execute("INSERT INTO mark (value) VALUES (0)")


def _append_only(table: str) -> None:
    """Have the database refuse to change or remove a row of a table."""
    refusal = f"rows of {table} are never changed: a correction is a new row"
    if op.get_context().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
    )
