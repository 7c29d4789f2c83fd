"""Who and what exists, with dates and successors: pure."""
