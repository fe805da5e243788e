"""`fer sample`: synthetic photographs."""
