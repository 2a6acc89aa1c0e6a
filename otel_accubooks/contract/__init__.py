"""What is measured: pure typed data, from which everything else is made."""
