"""The ports that operations need, each a small protocol with one contract suite for all its adapters."""
