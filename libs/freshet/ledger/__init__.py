"""What the control topics say."""
