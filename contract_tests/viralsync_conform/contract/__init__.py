"""What a target is held against: schemas, documented and learned behaviour."""
