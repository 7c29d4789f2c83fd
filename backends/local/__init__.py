"""Clusters as processes of this machine, forked from a warm process per environment."""
