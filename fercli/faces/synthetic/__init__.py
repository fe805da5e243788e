"""Drawn faces and the photographs they stand in: data for those who have none."""
