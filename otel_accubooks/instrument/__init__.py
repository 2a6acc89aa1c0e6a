"""What is watched: one file for each library."""
