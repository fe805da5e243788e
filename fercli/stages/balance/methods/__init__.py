"""The methods that fill a class up: the registry, and one file a method."""
