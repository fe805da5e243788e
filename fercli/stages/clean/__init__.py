"""`fer clean`: what stands twice in a dataset, and a dataset without the copies that leak between splits."""
