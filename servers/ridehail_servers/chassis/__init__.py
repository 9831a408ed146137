"""What every server of the suite shares. Knows no service."""
