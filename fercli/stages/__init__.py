"""The stages: each reads artifacts, writes one artifact, and knows no other stage."""
