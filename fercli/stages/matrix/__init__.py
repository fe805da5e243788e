"""Matrix: several checkpoints on several packs."""
