"""The hooks: one for each connection type."""
