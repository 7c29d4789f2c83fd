"""Clusters as plain pods of a Kubernetes cluster, under our own reconciler."""
