"""Export: write a checkpoint as a file that runs without fercli."""
