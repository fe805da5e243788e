"""Sample: photographs with drawn faces."""
