"""What other teams may begin from (docs/seams/)."""
