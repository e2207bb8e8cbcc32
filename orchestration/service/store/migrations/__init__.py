"""Migrations of the scheduling service's database (alembic); see `orchestration.service.store.migrating`."""
