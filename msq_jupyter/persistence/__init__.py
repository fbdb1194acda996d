"""What outlives the code: records of saved versions. No I/O."""
