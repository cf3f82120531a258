"""Sessions are created, limited, found again, pooled and deleted."""
