"""Networks: one family a file, built from their catalog entry."""
