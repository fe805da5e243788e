"""Pictures and pages: what a stage's figures look like to people. No torch here."""
