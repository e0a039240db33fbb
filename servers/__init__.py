"""Everything that touches hardware or starts a model server."""
