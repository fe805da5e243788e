"""The methods that fill up a class: the registry, and one file per method."""
