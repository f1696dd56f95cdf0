"""Books, and their covers."""
