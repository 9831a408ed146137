"""family: who rides on whose account."""
