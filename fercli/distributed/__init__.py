"""Training in several processes, one per device: starting them, and what they exchange."""
