"""What must hold of a center and of its house, said as sentences about behaviour."""
