"""What is decided about a SecureModel: pure functions over what is observed."""
