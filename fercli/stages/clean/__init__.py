"""`fer clean`: what stands twice in a data set, and a data set without the copies that leak between splits."""
