"""What screening holds back, until somebody decides."""
