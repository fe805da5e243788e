"""fercli: whole facial emotion recognition pipelines, from photographs to an explained, tested ensemble."""

__version__ = "0.1.0"
