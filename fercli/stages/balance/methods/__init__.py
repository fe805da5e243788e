"""The methods that create images: the registry, and one file per method."""
