"""What is signed and how: nonces and seals."""
