"""The admin API of the admin listener: modes, mappings and evidence, as JSON (contracts/admin.yaml)."""
